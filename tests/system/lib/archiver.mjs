// A Redis, a database and telerelay-archivers of a test's own. What the relays would do to the streams, the test does.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster, Proc, program, sanitizerEnv, until, within } from './harness.mjs';
import { Postgres } from './postgres.mjs';

export * from './harness.mjs';

const run = promisify(execFile);
let number = 0;

class Sqlite {
    text = (column) => column; // of a column that has bytes
    constructor(dir) {
        this.dir = path.join(dir, 'archive');
        this.file = path.join(this.dir, 'a.db');
        this.uri = `sqlite:${this.file}`;
        fs.mkdirSync(this.dir);
    }

    async query(sql) {
        const { stdout } = await run('sqlite3', ['-batch', '-separator', '\t', '-cmd', '.timeout 5000', this.file, sql]);
        return stdout.split('\n').filter(Boolean).map((line) => line.split('\t'));
    }

    async away() {
        fs.renameSync(this.dir, `${this.dir}.away`);
    }

    async back() {
        fs.renameSync(`${this.dir}.away`, this.dir);
    }

    async fresh() {
        for (const name of fs.readdirSync(this.dir)) fs.rmSync(path.join(this.dir, name));
    }

    async remove() {}
}

class Server {
    text = (column) => `convert_from(${column}, 'UTF8')`;

    static async start() {
        const server = new Server();
        server.pg = await Postgres.start();
        server.uri = server.pg.uri;
        return server;
    }

    query(sql) {
        return this.pg.query(sql);
    }

    away() {
        return this.pg.kill();
    }

    back() {
        return this.pg.restart();
    }

    fresh() {
        return this.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    }

    remove() {
        return this.pg.remove();
    }
}

export const databases = { SQLite: async (dir) => new Sqlite(dir), PostgreSQL: () => Server.start() };

export class Archiving {
    archivers = new Set();

    static async start(database) {
        const rig = new Archiving();
        rig.cluster = await Cluster.start({ relays: 0 });
        rig.dir = rig.cluster.dir;
        rig.db = await databases[database](rig.dir);
        return rig;
    }

    // An archiver that looks every 10 ms; flags: { 'hot-samples': 1000 }.
    archiver(flags = {}) {
        const name = `archiver-${++number}`;
        const given = { database: this.db.uri, 'redis-address': `unix:${this.cluster.redisPath}`, 'interval-ms': 10, 'lease-ms': 1000, ...flags };
        const args = Object.entries(given).flatMap(([key, value]) => [`--${key}`, String(value)]);
        const proc = new Proc(name, program('telerelay-archiver'), args, {
            env: sanitizerEnv(path.join(this.dir, 'san', name)), log: path.join(this.dir, 'log', `${name}.log`),
        });
        this.archivers.add(proc);
        return proc;
    }

    // … that works.
    async working(flags) {
        const proc = this.archiver(flags);
        await until(() => {
            assert.ok(proc.alive, proc.log());
            return /event=working/.test(proc.log());
        }, 8000, `${proc.name} works`);
        return proc;
    }

    async end(proc) {
        assert.deepEqual(await proc.terminate(3000), { status: 0, signal: null }, proc.log());
        this.archivers.delete(proc);
    }

    async kill(proc) {
        await proc.kill();
        this.archivers.delete(proc);
    }

    // Redis is started again, and `left` makes of it what a loss of power leaves, before the archiver can look.
    async restarted(archiver, left) {
        await this.cluster.killRedis();
        archiver.signal('SIGSTOP');
        await this.cluster.startRedis();
        await left();
        archiver.signal('SIGCONT');
    }

    async call(...words) {
        return (await this.cluster.redis()).call(...words);
    }

    known(...devices) {
        return this.call('ZADD', 'tr:devices', ...devices.flatMap((id) => [1, id]));
    }

    // Samples numbered from..to of one device, one per ms from `ms` on, as a relay stores them; maxlen: its hard cap.
    async samples(device, from, to, { ms = 1768473045000, maxlen } = {}) {
        const redis = await this.cluster.redis();
        const cap = maxlen ? ['MAXLEN', '~', maxlen] : [];
        const adding = [];
        for (let n = from; n <= to; n++)
            adding.push(redis.call('XADD', `tr:tel:${device}`, ...cap, `${ms + n}-0`, 'd', `"battery":${n % 100},"n":${n}`));
        await Promise.all(adding);
    }

    // The state that is there for others, as an object.
    async state() {
        const pairs = await this.call('HGETALL', 'tr:archive');
        return Object.fromEntries(pairs.flatMap((name, i) => (i % 2 ? [] : [[name, /^-?\d+$/.test(pairs[i + 1]) ? Number(pairs[i + 1]) : pairs[i + 1]]])));
    }

    async sees(what, ms = 8000, describe = 'the state is as wanted') {
        let state;
        return until(async () => {
            state = await this.state();
            return what(state) ? state : false;
        }, ms, describe).catch((error) => {
            throw new Error(`${error.message}: ${JSON.stringify(state)}\n${this.cluster.logs()}`);
        });
    }

    // The numbers n of a device's archived samples, in order.
    async archived(device) {
        const rows = await this.db.query(`SELECT v FROM samples WHERE device = (SELECT id FROM devices WHERE device_id = '${device}') ORDER BY ms, seq`);
        return rows.map(([v]) => Number(v.split(',')[1]));
    }

    async archives(device, count, ms = 10000) {
        await until(async () => Number((await this.db.query(`SELECT count(*) FROM samples WHERE device = (SELECT id FROM devices WHERE device_id = '${device}')`))[0][0]) >= count,
            ms, `${count} samples of ${device} are archived`, 20).catch((error) => {
            throw new Error(`${error.message}\n${this.cluster.logs()}`);
        });
    }

    // Nothing in Redis or the database, and no archiver.
    async clear() {
        for (const proc of this.archivers) await this.kill(proc);
        await this.call('FLUSHALL');
        await this.db.fresh();
    }

    async stop() {
        const faults = [];
        for (const proc of this.archivers) {
            const exit = await proc.terminate(5000);
            if (exit.status !== 0) faults.push(`${proc.name}: ${JSON.stringify(exit)}`);
        }
        await this.db.remove();
        await this.cluster.stop();
        assert.deepEqual(faults, []);
    }
}

export const ids = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

// Holds a transaction that writes open in an SQLite file, until end() of what it gives.
export async function locked(file) {
    const child = spawn('sqlite3', ['-batch', file], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ready = new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdin.write("BEGIN IMMEDIATE; SELECT 'locked';\n");
    await within(ready, 5000, 'the lock');
    return { end: () => child.stdin.end('ROLLBACK;\n') };
}
