// An archive's database of the test's own, SQLite or PostgreSQL behind one interface:
//
//   const db = await Database.start('sqlite');   // or 'postgres'; db.uri is for --archive-database
//   await db.away(); await db.back();            // nobody can open it, and again
//   await db.query('SELECT count(*) FROM samples');  // [['12']]
//   await db.stop();
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Postgres } from './postgres.mjs';
import { within } from './wait.mjs';

const run = promisify(execFile);

export class Database {
    static async start(kind, options) {
        return kind === 'postgres' ? PostgresDatabase.create(options) : new SqliteDatabase();
    }
}

class PostgresDatabase {
    kind = 'postgres';

    static async create(options) {
        const one = new PostgresDatabase();
        one.pg = await Postgres.start(options);
        one.uri = one.pg.uri;
        return one;
    }

    // how: stop, kill or freeze.
    async away(how = 'kill') {
        this.how = how;
        await this.pg[how]();
    }

    async back() {
        await (this.how === 'freeze' ? this.pg.thaw() : this.pg.restart());
    }

    query(sql) {
        return this.pg.query(sql);
    }

    async stop() {
        if (this.how === 'freeze') this.pg.thaw();
        await this.pg.remove();
    }
}

const ASK = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
for row in db.execute(sys.argv[2]): print('\\t'.join('' if x is None else str(x) for x in row))`;
const LOCK = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
db.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()`;

class SqliteDatabase {
    kind = 'sqlite';
    parent = fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-sqlite-'));

    constructor() {
        process.on('exit', () => fs.rmSync(this.parent, { recursive: true, force: true }));
        fs.mkdirSync(this.dir);
        this.uri = `sqlite:${this.file}`;
    }

    get dir() {
        return path.join(this.parent, 'db');
    }

    get file() {
        return path.join(this.dir, 'archive.db');
    }

    // how: "move" its directory (who has it open goes on), or "lock" it against writers.
    async away(how = 'move') {
        this.how = how;
        if (how === 'move') fs.renameSync(this.dir, `${this.dir}.away`);
        else {
            this.locker = spawn('python3', ['-c', LOCK, this.file], { stdio: ['pipe', 'pipe', 'inherit'] });
            await within(new Promise((resolve) => this.locker.stdout.once('data', resolve)), 25000, 'the database is locked');
        }
    }

    async back() {
        if (this.how === 'move') fs.renameSync(`${this.dir}.away`, this.dir);
        else {
            const ended = new Promise((resolve) => this.locker.once('exit', resolve));
            this.locker.stdin.end();
            await within(ended, 5000, 'the database is unlocked');
        }
    }

    async query(sql) {
        const { stdout } = await run('python3', ['-c', ASK, this.file, sql], { timeout: 60000, maxBuffer: 1 << 30 });
        return stdout.split('\n').slice(0, -1).map((line) => line.split('\t'));
    }

    async stop() {
        this.locker?.kill();
        fs.rmSync(this.parent, { recursive: true, force: true });
    }
}
