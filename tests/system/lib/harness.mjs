// Real parts for one test file: a Redis of its own and some relays on unix sockets, in a private
// directory. Everything that is started here ends here, by its process id, also when a test fails.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from './redis.mjs';
import { RawPeer } from './raw.mjs';
import { Peer, Robot, Website } from './peer.mjs';
import { until, within } from './wait.mjs';

export * from './wait.mjs';
export * from './peer.mjs';
export { Redis, RawPeer };

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export const BIN = [process.env.TELERELAY_BIN, 'build/asan/bin', 'build/release/bin']
    .filter(Boolean)
    .map((dir) => path.resolve(ROOT, dir))
    .find((dir) => fs.existsSync(path.join(dir, 'telerelay-wsd'))) ?? path.join(ROOT, 'build/asan/bin');

export const program = (name) => path.join(BIN, name);

// Sanitized programs are slower and hold on to freed memory: limits on both depend on this.
export const SANITIZED = fs.existsSync(program('telerelay-wsd')) &&
    fs.readFileSync(program('telerelay-wsd')).includes('__asan_report_load');

const SANITIZER_STATUS = 86;

export const sanitizerEnv = (prefix) => ({
    ASAN_OPTIONS: `log_path=${prefix}.asan:exitcode=${SANITIZER_STATUS}:quarantine_size_mb=4:detect_leaks=1:verify_asan_link_order=0`,
    UBSAN_OPTIONS: `log_path=${prefix}.ubsan:print_stacktrace=1`,
    LSAN_OPTIONS: `exitcode=${SANITIZER_STATUS}`,
});

const running = new Set(); // process ids to end with this process
process.on('exit', () => {
    for (const pid of running) {
        try {
            process.kill(pid, 'SIGKILL');
        } catch { /* gone already */ }
    }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

export const temporaryDirectory = () => fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-test-'));

export async function freePort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

// A process that the tests started.
export class Proc {
    constructor(name, command, args, { env = {}, log }) {
        this.name = name;
        this.logPath = log;
        const fd = fs.openSync(log, 'a');
        this.child = spawn(command, args, { stdio: ['ignore', fd, fd], env: { ...process.env, ...env } });
        fs.closeSync(fd);
        this.pid = this.child.pid;
        if (this.pid) running.add(this.pid);
        this.exited = new Promise((resolve) => {
            this.child.on('error', (error) => resolve({ status: null, signal: null, error }));
            this.child.on('exit', (status, signal) => {
                running.delete(this.pid);
                this.exit = { status, signal };
                resolve(this.exit);
            });
        });
    }

    get alive() {
        return this.exit === undefined;
    }

    signal(name) {
        if (this.alive) process.kill(this.pid, name);
    }

    async kill() {
        this.signal('SIGKILL');
        return within(this.exited, 5000, `${this.name} killed`);
    }

    // Asks it to end; gives {status, signal}.
    async terminate(ms = 6000) {
        this.signal('SIGCONT');
        this.signal('SIGTERM');
        return within(this.exited, ms, `${this.name} ended after SIGTERM`);
    }

    log() {
        return fs.readFileSync(this.logPath, 'utf8');
    }

    openFiles() {
        return fs.readdirSync(`/proc/${this.pid}/fd`).length;
    }

    // Resident memory in KiB.
    memory() {
        return Number(/VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${this.pid}/status`, 'utf8'))[1]);
    }
}

export class Cluster {
    #relays = new Map(); // number → {proc, flags}
    #peers = new Set();
    #redisClient;
    #deliberate = new Set(); // processes that a test killed

    // relays: how many; flags: for every relay; redis: whether to start it at once.
    static async start({ relays = 2, flags = [], redis = true } = {}) {
        const cluster = new Cluster();
        cluster.dir = temporaryDirectory();
        cluster.flags = flags;
        for (const dir of ['log', 'san', 'redis']) fs.mkdirSync(path.join(cluster.dir, dir));
        try {
            if (redis) await cluster.startRedis();
            for (let n = 1; n <= relays; n++) await cluster.startRelay(n, { ready: redis });
        } catch (error) {
            await cluster.#endAll();
            throw new Error(`${error.message}\n${cluster.logs()}`);
        }
        return cluster;
    }

    get redisPath() {
        return path.join(this.dir, 'redis.sock');
    }

    socketPath(n) {
        return path.join(this.dir, `wsd-${n}.sock`);
    }

    url(n, query = '', at = '/ws/telemetry/') {
        return `ws+unix://${this.socketPath(n)}:${at}${query}`;
    }

    relay(n) {
        return this.#relays.get(n).proc;
    }

    // ---- Redis

    async startRedis() {
        fs.rmSync(this.redisPath, { force: true });
        this.redisProc = new Proc('redis', 'redis-server', [
            '--port', '0', '--unixsocket', this.redisPath, '--dir', path.join(this.dir, 'redis'), '--daemonize', 'no',
            '--appendonly', 'yes', '--appendfsync', 'no', '--save', '', '--loglevel', 'notice',
        ], { log: path.join(this.dir, 'log', 'redis.log') });
        await this.redisAnswers();
    }

    // Resolves at the moment Redis answers commands.
    async redisAnswers(ms = 5000) {
        await until(async () => {
            const client = await Redis.open(this.redisPath);
            try {
                return (await client.call('PING')) === 'PONG';
            } finally {
                client.close();
            }
        }, ms, 'Redis answers', 2);
    }

    async killRedis() {
        this.#deliberate.add(this.redisProc);
        await this.redisProc.kill();
    }

    // A client for looking around; a new one after each restart.
    async redis() {
        if (!this.#redisClient?.alive) {
            const client = await Redis.open(this.redisPath);
            this.#redisClient = client;
        }
        return this.#redisClient;
    }

    // ---- relays

    relayArguments(n, flags = []) {
        return ['--name', `wsd-${n}`, '--listen', `unix:${this.socketPath(n)}`,
            '--redis-address', `unix:${this.redisPath}`, ...this.flags, ...flags];
    }

    async startRelay(n, { flags = this.#relays.get(n)?.flags ?? [], ready = true } = {}) {
        const proc = new Proc(`wsd-${n}`, program('telerelay-wsd'), this.relayArguments(n, flags), {
            env: sanitizerEnv(path.join(this.dir, 'san', `wsd-${n}`)), log: path.join(this.dir, 'log', `wsd-${n}.log`),
        });
        this.#relays.set(n, { proc, flags });
        await until(() => RawPeer.dial(this.socketPath(n)).then((peer) => (peer.destroy(), true)), 10000,
            `wsd-${n} accepts connections`).catch((error) => {
            throw new Error(`${error.message}; ${proc.alive ? 'it runs' : `it ended: ${JSON.stringify(proc.exit)}`}`);
        });
        if (ready) await this.relayReady(n);
        return proc;
    }

    // Resolves once the relay reaches Redis: it tells a website that comes before.
    async relayReady(n, ms = 10000) {
        const website = await this.website(n);
        await website.settled(ms);
        if (website.count({ type: 'relay_status', redis: false })) await website.seen({ type: 'relay_status', redis: true }, ms);
        await website.leave();
    }

    async killRelay(n) {
        const { proc } = this.#relays.get(n);
        this.#deliberate.add(proc);
        await proc.kill();
    }

    // ---- peers

    async website(n, options = {}) {
        return this.#keep(await Website.connect(this.url(n, options.query, options.at), options));
    }

    async robot(n, id, options = {}) {
        return this.#keep(await Robot.connect(this.url(n, `?device_id=${id}`, options.at), id, options));
    }

    async peer(n, query, options = {}) {
        return this.#keep(await Peer.connect(this.url(n, query, options.at), options));
    }

    async raw(n, target = '/ws/telemetry/', options = {}) {
        return this.#keep(await RawPeer.connect(this.socketPath(n), target, options));
    }

    // Ends all clients and forgets all robots, so that the next test begins with nobody online.
    async clear(ms = 5000) {
        for (const peer of this.#peers) (peer.drop ?? peer.destroy).call(peer);
        this.#peers.clear();
        const redis = await this.redis();
        await until(async () => (await redis.call('HLEN', 'tr:online')) === 0, ms, 'nobody is online');
        for (const [n, { proc }] of this.#relays) if (proc.alive) await this.#nobodyListedBy(n, ms);
    }

    async #nobodyListedBy(n, ms) {
        await until(async () => {
            const website = await Website.connect(this.url(n));
            await website.settled();
            const online = website.online().length;
            await website.leave();
            return online === 0;
        }, ms, `wsd-${n} lists nobody`);
    }

    // ---- the end

    // Ends everything, then asserts that every daemon left cleanly and no sanitizer spoke.
    async stop() {
        for (const peer of this.#peers) (peer.drop ?? peer.destroy).call(peer);
        const faults = [];
        for (const { proc } of this.#relays.values()) {
            if (this.#deliberate.has(proc)) continue;
            if (!proc.alive) {
                if (proc.exit.status !== 0) faults.push(`${proc.name} ended by itself: ${JSON.stringify(proc.exit)}`);
                continue;
            }
            const exit = await proc.terminate().catch((error) => ({ error: error.message }));
            if (exit.status !== 0) faults.push(`${proc.name} after SIGTERM: ${JSON.stringify(exit)}`);
        }
        await this.#endAll();
        for (const name of fs.readdirSync(path.join(this.dir, 'san')))
            faults.push(`${name}:\n${fs.readFileSync(path.join(this.dir, 'san', name), 'utf8').slice(0, 6000)}`);
        for (const name of fs.readdirSync(path.join(this.dir, 'log')))
            if (/runtime error:|Sanitizer/.test(fs.readFileSync(path.join(this.dir, 'log', name), 'utf8'))) faults.push(`a sanitizer spoke in ${name}`);
        if (faults.length) faults.push(this.logs());
        if (!process.env.KEEP) fs.rmSync(this.dir, { recursive: true, force: true });
        if (faults.length) throw new Error(faults.join('\n'));
    }

    // A relay that a test ended in its own way: stop() does not ask it for status 0 again.
    forget(proc) {
        this.#deliberate.add(proc);
    }

    logs() {
        return fs.readdirSync(path.join(this.dir, 'log')).map((name) => {
            const lines = fs.readFileSync(path.join(this.dir, 'log', name), 'utf8').split('\n');
            return `--- the end of ${name}\n${lines.slice(-25).join('\n')}`;
        }).join('\n');
    }

    #keep(peer) {
        this.#peers.add(peer);
        return peer;
    }

    async #endAll() {
        this.#redisClient?.close();
        for (const { proc } of this.#relays.values()) if (proc.alive) await proc.kill();
        if (this.redisProc?.alive) await this.redisProc.kill();
    }
}

// Whether a process is there and is no zombie.
function runs(pid) {
    try {
        return !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
        return false;
    }
}

// The whole stack as people run it (deploy/stack): Redis, relays, api, nginx and simulated robots, on private ports.
const stacks = new Set();
process.on('exit', () => {
    for (const stack of stacks) spawnSync(path.join(ROOT, 'deploy/stack'), ['down'], { env: stack.env });
});

export class Stack {
    #peers = new Set();

    static async start({ relays = 2, robots = 1, env = {} } = {}) {
        const stack = new Stack();
        stack.dir = temporaryDirectory();
        fs.mkdirSync(path.join(stack.dir, 'san'));
        stack.port = await freePort();
        stack.tlsPort = await freePort();
        stack.env = {
            ...process.env, ...sanitizerEnv(path.join(stack.dir, 'san', 'stack')), RUN_DIR: path.join(stack.dir, 'run'), TELERELAY_BIN: BIN,
            PORT: String(stack.port), TLS_PORT: String(stack.tlsPort), RELAYS: String(relays), ROBOTS: String(robots), ...env,
        };
        stacks.add(stack);
        const { status, output } = await stack.run('up');
        if (status !== 0) throw new Error(`stack up ended with ${status}:\n${output}`);
        return stack;
    }

    // Calls deploy/stack; gives {status, output}.
    async run(...words) {
        const child = spawn(path.join(ROOT, 'deploy/stack'), words, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
        let output = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
        const status = await within(new Promise((resolve) => child.on('exit', resolve)), 60000, `stack ${words.join(' ')}`);
        return { status, output };
    }

    pid(name) {
        return Number(fs.readFileSync(path.join(this.env.RUN_DIR, 'pids', `${name}.pid`), 'utf8'));
    }

    signal(name, signal) {
        process.kill(this.pid(name), signal);
    }

    log(name) {
        return fs.readFileSync(path.join(this.env.RUN_DIR, 'log', name), 'utf8');
    }

    url(query = '', at = '/ws/telemetry/') {
        return `ws://localhost:${this.port}${at}${query}`;
    }

    async website(options = {}) {
        return this.#keep(await Website.connect(this.url(options.query), options));
    }

    async robot(id, options = {}) {
        return this.#keep(await Robot.connect(this.url(`?device_id=${id}`), id, options));
    }

    async raw(target, options = {}) {
        return this.#keep(await RawPeer.connect({ port: this.port, host: '127.0.0.1' }, target, options));
    }

    // A GET of a JSON document.
    async get(target) {
        const response = await fetch(`http://127.0.0.1:${this.port}${target}`, { signal: AbortSignal.timeout(5000) });
        if (!response.ok) throw new Error(`${target}: HTTP ${response.status} ${await response.text()}`);
        return response.json();
    }

    // Ends everything, then asserts that nothing is left and no sanitizer spoke.
    async stop() {
        for (const peer of this.#peers) (peer.drop ?? peer.destroy).call(peer);
        const run = this.env.RUN_DIR;
        const pids = fs.existsSync(path.join(run, 'pids')) ? fs.readdirSync(path.join(run, 'pids')).filter((name) => /^[^.].*\.pid$/.test(name))
            .map((name) => [name, Number(fs.readFileSync(path.join(run, 'pids', name), 'utf8'))]) : [];
        const { status, output } = await this.run('down');
        stacks.delete(this);
        const faults = status === 0 ? [] : [`stack down ended with ${status}: ${output}`];
        for (const [name, pid] of pids) if (runs(pid)) faults.push(`${name} ${pid} is still there`);
        for (const name of fs.readdirSync(run)) if (name.endsWith('.sock')) faults.push(`${name} is left`);
        for (const name of fs.readdirSync(path.join(this.dir, 'san')))
            faults.push(`${name}:\n${fs.readFileSync(path.join(this.dir, 'san', name), 'utf8').slice(0, 6000)}`);
        for (const name of fs.readdirSync(path.join(run, 'log')))
            if (/runtime error:|Sanitizer/.test(this.log(name))) faults.push(`a sanitizer spoke in ${name}`);
        if (!process.env.KEEP) fs.rmSync(this.dir, { recursive: true, force: true });
        if (faults.length) throw new Error(faults.join('\n'));
    }

    #keep(peer) {
        this.#peers.add(peer);
        return peer;
    }
}

// An RFC 3339 time in UTC as the relays write it, and within `slack` ms of now.
export function assertRecent(timestamp, slack = 5000) {
    assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(\d{3})?Z$/);
    const ms = Date.parse(timestamp);
    assert.ok(Math.abs(Date.now() - ms) <= slack, `${timestamp} is not within ${slack} ms of ${new Date().toISOString()}`);
}

// `message` is exactly `want` plus a recent timestamp.
export function assertStamped(message, want) {
    const { timestamp, ...rest } = message;
    assertRecent(timestamp);
    assert.deepEqual(rest, want);
}

// A command as a robot gets it: `want`, a recent timestamp, and the number that Redis gave it.
export function assertCommand(message, want) {
    const { seq, ...rest } = message;
    assert.ok(Number.isSafeInteger(seq) && seq > 1.7e15, `seq ${seq}`);
    assertStamped(rest, want);
}
