// A world of its own for the seam between Redis and the archive: a Redis with the shipped settings, a database, an api
// behind nginx, archivers; a model of all that was stored; and faults. Every question is answered as the model says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ApiRig, bin } from './api.mjs';
import { Database } from './database.mjs';
import { Redis } from './redis.mjs';
import { Series, pairs } from './series.mjs';
import { until } from './wait.mjs';

const KEEP = ['samples', 'minutes', 'hours', 'commands', 'events'].flatMap((kind) => [`--keep-${kind}-d`, '0']);
// By kind, as the archive numbers them.
const STREAMS = ['tr:tel:', 'tr:cmds:', 'tr:outs:', 'tr:events'];
export const [SAMPLES, COMMANDS, OUTCOMES, EVENTS] = STREAMS.keys();
const TABLES = ['samples', 'commands', 'outcomes', 'events'];
const GONE_MS = 1000; // after its return a part may be taken for away so long

export class World extends ApiRig {
    series = new Series();
    archivers = [];
    redisAway = false;
    sqlAway = false; // to one who opens it anew, at least
    calm = 0; // performance.now() from which on nothing is away

    // kind: of the database. archiver: further flags of every archiver.
    static async start(kind, { workers = 2, archiver = [], durable = false } = {}) {
        const world = new World();
        world.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-seam-'));
        process.setMaxListeners(0);
        process.on('exit', () => fs.rmSync(world.dir, { recursive: true, force: true }));
        world.redisPath = path.join(world.dir, 'redis.sock');
        world.flags = archiver;
        world.workers = workers;
        try {
            world.db = await Database.start(kind, { durable });
            await world.startRedis();
            await world.startArchiver();
            await world.startHttp();
        } catch (error) {
            await world.stop().catch(() => {});
            throw error;
        }
        return world;
    }

    async startHttp() {
        await until(async () => (await this.db.query('SELECT count(*) FROM positions')).length, 20000, 'the archiver makes the schema');
        await this.restartApi();
        this.port = await this.startNginx(this.socket('api'));
    }

    // As deploy/redis.conf.in says.
    async startRedis() {
        const file = path.join(this.dir, 'redis.conf');
        const values = { SOCK: this.redisPath, PERM: '700', DIR: this.dir, DAEMONIZE: 'no', SUPERVISED: 'no', PIDFILE: `${this.dir}/redis.pid`, LOGFILE: '' };
        const template = fs.readFileSync(new URL('../../../deploy/redis.conf.in', import.meta.url), 'utf8');
        fs.writeFileSync(file, template.replace(/@(\w+)@/g, (_, name) => values[name]));
        fs.rmSync(this.redisPath, { force: true });
        this.redisPart = this.run('redis-server', [file]);
        this.redis = await until(async () => {
            const redis = await Redis.open(this.redisPath);
            if ((await redis.call('PING')) === 'PONG') return redis;
            redis.close();
            return null;
        }, 20000, 'redis answers');
    }

    // ---- faults; each begins or ends when the call returns

    async startArchiver(more = []) {
        const command = ['--redis-address', `unix:${this.redisPath}`, '--database', this.db.uri, '--interval-ms', '20', '--hot-samples', '1000',
            '--lease-ms', '1000', '--database-ms', '2000', '--redis-ms', '500', ...KEEP, ...this.flags, ...more];
        const part = this.run(path.join(bin, 'telerelay-archiver'), command, { env: { PATH: process.env.PATH, ...this.sanitizers('archiver') } });
        this.archivers.push(part);
        await until(() => {
            assert.ok(!part.isEnded, `the archiver ended: ${part.log}`);
            return /event=started/.test(part.log);
        }, 10000, 'the archiver starts');
        return part;
    }

    // One of them, with SIGKILL or SIGTERM. `atOnce`: its lease ends with it, as if its time had passed.
    async endArchiver(part = this.archivers[0], signal = 'SIGKILL', atOnce = false) {
        this.archivers = this.archivers.filter((one) => one !== part);
        if (signal === 'SIGTERM') part.child.kill('SIGCONT');
        await part.stop(signal, 15000);
        if (atOnce && !this.redisAway) await this.redis.call('DEL', 'tr:archiver');
    }

    freezeArchiver(part = this.archivers[0]) {
        part.child.kill('SIGSTOP');
        part.frozen = true;
    }

    thawArchiver(part) {
        part.child.kill('SIGCONT');
        part.frozen = false;
    }

    async sqlGoes(how) {
        await this.db.away(how);
        this.sqlAway = how !== 'lock'; // which keeps nobody from reading
        this.sqlBroken = how;
    }

    async sqlReturns() {
        await this.db.back();
        this.sqlAway = false;
        this.sqlBroken = undefined;
        this.calm = performance.now() + GONE_MS;
    }

    async killRedis() {
        this.redis.close();
        this.redisAway = true;
        await this.redisPart.stop('SIGKILL');
    }

    async restartRedis() {
        await this.startRedis();
        this.redisAway = false;
        this.calm = performance.now() + GONE_MS;
    }

    // The end of what Redis wrote is lost, as by a loss of power.
    cutRedis(bytes) {
        const dir = path.join(this.dir, 'appendonlydir');
        const file = fs.readdirSync(dir).filter((name) => name.endsWith('.incr.aof')).map((name) => path.join(dir, name)).sort().at(-1);
        fs.truncateSync(file, Math.max(0, fs.statSync(file).size - bytes));
        this.#known.clear(); // perhaps lost, too: a relay tells Redis of its robots again when it is back
    }

    async restartApi(signal = 'SIGTERM') {
        await this.api?.stop(signal);
        this.api = await this.startApi('api', { workers: this.workers, 'archive-database': this.db.uri, 'redis-ms': 500, 'archive-ms': 1500 });
        this.fresh = true;
    }

    // ---- what is stored

    #known = new Set();

    // As a relay does when a device connects.
    async know(device) {
        await this.redis.call('ZADD', 'tr:devices', Date.now(), device);
        this.#known.add(device);
    }

    #streams = new Set(); // "KIND DEVICE": those that were ever written to

    // Acknowledged by Redis when it resolves: {kind, device, ms, seq, text}; events have the device "".
    async append(entries) {
        await Promise.all(entries.map(({ kind, device, ms, seq, text }) => this.redis.call('XADD', STREAMS[kind] + device, `${ms}-${seq}`, 'd', text)));
        for (const { kind, device } of entries) this.#streams.add(`${kind} ${device}`);
    }

    // Samples, which the model has then: {device, ms, seq, text}…
    async write(entries) {
        for (let at = 0; at < entries.length; at += 1000) {
            const part = entries.slice(at, at + 1000);
            const unknown = new Set(part.map(({ device }) => device).filter((device) => !this.#known.has(device)));
            for (const device of unknown) await this.know(device);
            await this.append(part.map((entry) => ({ ...entry, kind: SAMPLES })));
            for (const entry of part) this.series.add(entry.device, entry);
        }
    }

    // {device: the id up to which its samples are archived}
    async positions() {
        const rows = await this.db.query('SELECT d.device_id, p.ms, p.seq FROM positions p JOIN devices d ON d.id = p.device WHERE p.kind = 0');
        return Object.fromEntries(rows.map(([device, ms, seq]) => [device, `${ms}-${seq}`]));
    }

    // Whether the archive has all that is in the streams.
    async archived() {
        const rows = await this.db.query('SELECT p.kind, d.device_id, p.ms, p.seq FROM positions p JOIN devices d ON d.id = p.device');
        const at = new Map(rows.map(([kind, device, ms, seq]) => [`${kind} ${device}`, [ms, seq].map(Number)]));
        const streams = [...new Set([...this.#streams, ...this.series.devices.map((device) => `${SAMPLES} ${device}`)])];
        const done = await Promise.all(streams.map(async (stream) => {
            const [kind, device] = stream.split(' ');
            const [last] = await this.redis.call('XREVRANGE', STREAMS[kind] + device, '+', '-', 'COUNT', 1);
            if (!last) return true;
            const [ms, seq] = last[0].split('-').map(Number);
            const [ams, aseq] = at.get(stream) ?? [-1, 0];
            return ams > ms || (ams === ms && aseq >= seq);
        }));
        return done.every(Boolean);
    }

    // The ids of a kind that are stored anywhere, each as "DEVICE MS-SEQ".
    async stored(kind, devices) {
        const all = new Set(); // Redis first: what leaves it meanwhile is archived
        for (const device of devices) for (const [id] of await this.redis.call('XRANGE', STREAMS[kind] + device, '-', '+')) all.add(`${device} ${id}`);
        const rows = await this.db.query(kind === EVENTS ? "SELECT '', ms, seq FROM events" : `SELECT d.device_id, s.ms, s.seq FROM ${TABLES[kind]} s JOIN devices d ON d.id = s.device`);
        for (const [device, ms, seq] of rows) all.add(`${device} ${ms}-${seq}`);
        return all;
    }

    // Everything is in the archive, once and as it was stored; returns how many samples.
    async verifyArchive(ms = 30000) {
        await until(() => this.archived(), ms, `all is archived; ${this.archivers.map((part) => part.log.slice(-4000)).join('\n')}`, 50);
        const rows = await this.db.query('SELECT d.device_id, s.ms, s.seq, h.names, s.v FROM samples s JOIN devices d ON d.id = s.device ' +
            'JOIN shapes h ON h.id = s.shape ORDER BY d.device_id, s.ms, s.seq');
        const [[count]] = await this.db.query('SELECT count(*) FROM samples');
        assert.equal(Number(count), rows.length, 'every sample has a device and a shape');
        const got = rows.map(([device, ...rest]) => `${device} ${rest[0]}-${rest[1]} ${textOf(rest[2], rest[3])}`).sort();
        const expected = this.series.devices.flatMap((device) => this.series.entries(device).map(({ ms: at, seq, text }) => `${device} ${at}-${seq} ${text}`)).sort();
        const wrong = expected.findIndex((line, i) => line !== got[i]);
        assert.ok(wrong < 0, `${expected[wrong]} was stored; the archive has ${got[wrong]}`);
        assert.equal(got.length, expected.length, `the archive has ${got[expected.length]}, too`);
        const values = this.series.devices.reduce((sum, device) => sum + this.series.entries(device).reduce((n, { text }) => n + pairs(text).length, 0), 0);
        for (const tier of ['minutes', 'hours']) {
            const [[counted]] = await this.db.query(`SELECT sum(count) FROM ${tier}`);
            assert.equal(Number(counted), values, `each value is in the ${tier} once`);
        }
        return got.length;
    }

    // ---- questions

    // 503, or one that is cut short, is an answer only while something may be away.
    async question(target, { statuses = [200], ...options } = {}) {
        const away = this.redisAway || this.sqlAway || performance.now() < this.calm;
        let answer;
        try {
            answer = await this.ask(target, options);
        } catch (error) {
            // A whole range, of which some had been sent already.
            if (away && ['ECONNRESET', 'ECONNABORTED'].includes(error.code)) return null;
            error.message += `: ${target}`;
            throw error;
        }
        if (answer.status === 503) {
            assert.ok(away || performance.now() < this.calm, `503 though nothing is away: ${target}: ${answer.text}`);
            assert.equal(answer.headers['retry-after'], '1');
            return null;
        }
        assert.ok(statuses.includes(answer.status), `${target}: ${answer.status} ${answer.text.slice(0, 300)}\n${this.api.log.slice(-2000)}\n${this.frontLog()}`);
        assert.ok(!this.redisAway, `Redis is away and ${target} is answered`);
        return answer;
    }

    frontLog() {
        return fs.readdirSync(this.dir).filter((name) => name.startsWith('nginx-')).map((name) => fs.readFileSync(path.join(this.dir, name, 'error.log'), 'utf8').slice(-1000)).join('');
    }

    async stop() {
        try {
            await super.stop();
        } finally {
            await this.db?.stop();
        }
    }
}

// A sample's text from its shape and numbers.
function textOf(names, numbers) {
    if (!names) return '';
    const values = numbers.split(',');
    return names.split(',').map((name, i) => `"${name}":${values[i]}`).join(',');
}
