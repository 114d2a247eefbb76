// A PostgreSQL of the test's own (tests/postgres says how). It ends with the test's process.
//
//   const pg = await Postgres.start();        // pg.uri; { durable: true } for tests of kills
//   await pg.kill(); await pg.restart();      // SIGKILL, the same data again
//   await pg.freeze(); await pg.thaw();       // SIGSTOP and SIGCONT of all its processes
//   await pg.query('SELECT count(*) FROM samples');  // [['12']]
//   await pg.remove();
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const script = fileURLToPath(new URL('../../postgres', import.meta.url));
const run = promisify(execFile);

const running = new Set();
process.on('exit', () => {
    for (const pg of running) {
        try {
            execFileSync(script, [pg.dir, 'remove'], { stdio: 'ignore', timeout: 20000 });
        } catch { /* it is gone, or will be with the process group */ }
        fs.rmSync(pg.dir, { recursive: true, force: true });
    }
});

export class Postgres {
    static async start({ durable = false } = {}) {
        const pg = new Postgres(fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-postgres-')), durable);
        running.add(pg);
        await pg.restart();
        return pg;
    }

    constructor(dir, durable) {
        this.dir = dir;
        this.durable = durable;
    }

    async #script(verb, ...more) {
        return (await run(script, [this.dir, verb, ...more], { timeout: 90000 })).stdout.trim();
    }

    // After stop() or kill().
    async restart() {
        this.uri = await this.#script('start', ...(this.durable ? ['durable'] : []));
        return this.uri;
    }

    stop() {
        return this.#script('stop');
    }

    kill() {
        return this.#script('kill');
    }

    // All its processes: they work in its data directory.
    pids() {
        const data = path.join(fs.readlinkSync(path.join(this.dir, 'pg')), 'data');
        return fs.readdirSync('/proc').filter((name) => {
            try {
                return /^\d+$/.test(name) && fs.readlinkSync(`/proc/${name}/cwd`) === data;
            } catch {
                return false;
            }
        }).map(Number);
    }

    freeze() {
        for (const pid of this.pids()) process.kill(pid, 'SIGSTOP');
    }

    thaw() {
        for (const pid of this.pids()) process.kill(pid, 'SIGCONT');
    }

    // Rows of texts.
    async query(sql) {
        const { stdout } = await run('/usr/lib/postgresql/15/bin/psql', ['-XAtq', '-F', '\t', '-d', this.uri, '-c', sql], { timeout: 60000, maxBuffer: 1 << 30 });
        return stdout.split('\n').filter(Boolean).map((line) => line.split('\t'));
    }

    async remove() {
        await this.#script('remove');
        running.delete(this);
        fs.rmSync(this.dir, { recursive: true, force: true });
    }
}
