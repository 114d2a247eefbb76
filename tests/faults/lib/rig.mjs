// The real stack with places to break it: Redis, relays, nginx and telerelay-robot, each with a process id of its own;
// between nginx and the others wires (proxy.mjs) or a network (net.mjs). A hand at each robot's stick drives it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Cluster, Proc, ROOT, Website, freePort, pause, program, random, sanitizerEnv, until, within } from '../../system/lib/harness.mjs';
import { Figures, detail, say } from './figures.mjs';
import { Network } from './net.mjs';
import { Proxy } from './proxy.mjs';
import { Stick } from './stick.mjs';
import { Trace, atRest } from './trace.mjs';

export * from '../../system/lib/harness.mjs';
export { Figures, Network, Stick, atRest, detail, say };

// How much: `make faults` sets this; `make test` leaves it out.
export const LONG = process.env.FAULTS_LONG === '1';
export const often = (short, long) => (LONG ? long : short);

export const now = () => Number(process.hrtime.bigint()); // CLOCK_MONOTONIC in ns, as in the trace

const children = (pid) => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

// nginx' workers outlive a master that is killed, as it is when this process ends early.
const rigs = new Set();
process.prependListener('exit', () => {
    for (const { nginx } of rigs) if (nginx?.alive) for (const pid of [nginx.pid, ...children(nginx.pid)]) process.kill(pid, 'SIGKILL');
});

export class Rig {
    robots = []; // {id, proc, trace, stick, wire}
    relays = [1, 2];
    figures = new Figures();
    #websites = new Set();

    // wires: a proxy on each side of nginx, one per robot and one for websites; network: namespaces (see net.mjs).
    static async start({ robots, flags = [], robotFlags = [], wires = false, network = false, stick = {} }) {
        const rig = new Rig();
        rigs.add(rig);
        Object.assign(rig, { robotFlags, stick });
        const seed = Number(process.env.SEED ?? Date.now());
        rig.dice = random(seed);
        detail(`seed ${seed}`);
        try {
            rig.cluster = await Cluster.start({ flags });
            if (network) rig.network = await Network.create();
            rig.host = network ? rig.network.address : '127.0.0.1';
            rig.port = await freePort();
            rig.#renderNginx();
            await rig.startNginx();
            if (wires) rig.websiteWire = await Proxy.listen({ host: rig.host, port: rig.port }, rig.dice.next);
            for (let i = 1; i <= robots; i++) await rig.#addRobot(`robot_${String(i).padStart(2, '0')}`, wires);
            await rig.driven();
        } catch (error) {
            const logs = rig.cluster?.logs();
            await rig.stop().catch(() => {});
            throw new Error(`${error.message}\n${logs}`);
        }
        return rig;
    }

    get dir() {
        return this.cluster.dir;
    }

    // ---- nginx: the site as `make run` has it, at this rig's address and without TLS

    #renderNginx() {
        this.nginxDir = path.join(this.dir, 'nginx');
        for (const dir of ['log', 'nginx/tmp']) fs.mkdirSync(path.join(this.nginxDir, dir), { recursive: true });
        execFileSync(path.join(ROOT, 'deploy/render-nginx'), ['dev', this.nginxDir], { env: {
            PATH: process.env.PATH, HTTP_PORT: String(this.port), TLS_PORT: '1', WEB_ROOT: this.nginxDir, API_SOCK: path.join(this.dir, 'api.sock'),
            RELAY_SOCKS: this.relays.map((n) => this.cluster.socketPath(n)).join('\n'), NOFILE: '4096', CONNECTIONS: '1024',
        } });
        const site = path.join(this.nginxDir, 'nginx/site.conf');
        const text = fs.readFileSync(site, 'utf8').replace(/^.*listen 127\.0\.0\.1:1 ssl.*$/m, '').replace(/^ *ssl_.*$/gm, '')
            .replaceAll(`127.0.0.1:${this.port} `, `${this.host}:${this.port} `);
        assert.match(text, new RegExp(`listen ${this.host}:${this.port} `));
        fs.writeFileSync(site, text);
        fs.appendFileSync(path.join(this.nginxDir, 'nginx/telerelay-hosts.conf'), this.network ? `${this.host} 1;\n` : '');
    }

    async startNginx() {
        const command = ['nginx', '-p', this.nginxDir, '-c', 'nginx.conf'];
        const [file, ...args] = this.network ? this.network.command('nginx', ...command) : command;
        const PATH = `${process.env.PATH}:/usr/sbin`;
        this.nginx = new Proc('nginx', file, args, { env: { PATH }, log: path.join(this.dir, 'log', 'nginx.log') });
        const at = { host: this.host, port: this.port };
        await until(() => Website.connect(this.url(at)).then((site) => (site.drop(), true)), 5000, 'nginx lets a website in', 20);
    }

    // Its master and its workers.
    async killNginx() {
        const workers = children(this.nginx.pid);
        await this.nginx.kill();
        for (const pid of workers) process.kill(pid, 'SIGKILL');
    }

    // ---- robots and those who drive them

    url({ host = 'localhost', port }, query = '') {
        return `ws://${host === '127.0.0.1' ? 'localhost' : host}:${port}/ws/telemetry/${query}`;
    }

    async #addRobot(id, wires) {
        const robot = { id };
        if (wires) robot.wire = await Proxy.listen({ host: this.host, port: this.port }, this.dice.next);
        robot.trace = new Trace(path.join(this.dir, `${id}.trace`));
        robot.spool = path.join(this.dir, `${id}.spool`);
        fs.mkdirSync(robot.spool);
        robot.stick = new Stick(id, this.stick);
        this.robots.push(robot);
        await this.startRobot(robot);
    }

    async startRobot(robot) {
        const at = robot.wire ? { port: robot.wire.port } : { host: this.host, port: this.port };
        const command = [program('telerelay-robot'), '--url', this.url(at), '--device-id', robot.id, '--interval', '1',
            '--trace', robot.trace.path, ...this.robotFlags.map((flag) => flag.replace('SPOOL', robot.spool))];
        const [file, ...args] = this.network ? this.network.command('robot', ...command) : command;
        robot.proc = new Proc(robot.id, file, args, {
            env: sanitizerEnv(path.join(this.dir, 'san', robot.id)), log: path.join(this.dir, 'log', `${robot.id}.log`),
        });
    }

    // Those that are on relay n, by what Redis has.
    async robotsOn(n) {
        const entries = await (await this.cluster.redis()).call('HGETALL', 'tr:online');
        const on = new Set(entries.filter((_, i) => i % 2 === 0 && entries[i + 1].endsWith(` wsd-${n}`)));
        return this.robots.filter(({ id }) => on.has(id));
    }

    // Redis is full: it refuses what writes, but relays messages still.
    async fill() {
        await (await this.cluster.redis()).call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1');
    }

    async unfill() {
        await (await this.cluster.redis()).call('CONFIG', 'SET', 'maxmemory', '0');
    }

    // A website of the test's, through nginx.
    async website(options = {}) {
        const at = this.websiteWire ? { port: this.websiteWire.port } : { host: this.host, port: this.port };
        const website = await Website.connect(this.url(at, options.query), options);
        this.#websites.add(website);
        return website;
    }

    // Every stick is held and every robot follows it.
    async driven(ms = 10000) {
        const end = performance.now() + ms;
        const left = () => Math.max(100, end - performance.now());
        await Promise.all(this.robots.map(async (robot) => {
            await until(async () => {
                if (!robot.stick.usable) robot.stick.take(await this.website({ ms: left() }));
                return true;
            }, left(), `a website for ${robot.id}`, 50);
            robot.stick.hold();
            const from = now();
            await until(async () => {
                if (!robot.stick.usable) robot.stick.take(await this.website({ ms: left() }));
                return robot.trace.drive().findLast((line) => line.t_ns > from && line.cause === 'command' && !atRest(line));
            }, left(), `${robot.id} is driven`);
            await until(() => robot.stick.hb !== undefined || !robot.stick.useHb, left(), `a heartbeat of ${robot.id}`);
        }));
    }

    // ---- cuts

    // One fault while all robots are driven: every one of them has to come to rest by itself, and to stay there until the
    // fault ends. brief: it may end before that by itself.
    async cut(kind, { break: begin, mend = () => {}, brief = false }) {
        await this.driven();
        await pause(this.dice.int(150));
        const from = now();
        try {
            await begin();
            // One that another fault had put to rest a moment ago has to stay so.
            const rests = (drive) => drive.some((line) => line.t_ns > from && atRest(line)) || (atRest(drive.at(-1)) && now() - from > 350e6);
            await Promise.all(this.robots.map((robot) => until(() => rests(robot.trace.drive()), 3000, `${kind}: ${robot.id} comes to rest`)));
            await pause(this.dice.int(100));
            if (!brief) for (const robot of this.robots) assert.ok(atRest(robot.trace.drive().at(-1)), `${kind}: ${robot.id} moves again before the fault ends`);
        } finally {
            await mend();
        }
        for (const robot of this.robots) for (const ms of robot.trace.rests(from)) this.figures.add(kind, ms);
    }

    // A time in which anything may happen to the way: those who rest in it are counted as cuts, nobody has to. Gives, per
    // robot, how many commands were sent and done, and after how many ms it came to rest.
    async weather(kind, seconds, { break: begin, mend }) {
        await this.driven();
        const from = now();
        await begin();
        await pause(seconds * 1000);
        await mend();
        const to = now();
        await this.driven();
        for (const robot of this.robots) for (const ms of robot.trace.rests(from, to)) this.figures.add(kind, ms);
        return this.robots.map(({ stick, trace }) => ({
            sent: stick.sentBetween(from, to), done: trace.executed(from, to).length,
            rested: trace.drive().filter((line) => line.t_ns > from && line.t_ns <= to && atRest(line)).map((line) => (line.t_ns - from) / 1e6),
        }));
    }

    // What must hold for all that the robots ever did.
    verify() {
        const wrong = [];
        const ages = [];
        for (const robot of this.robots) {
            for (const ms of robot.trace.gaps()) if (ms > 350) wrong.push(`${robot.id} went on for ${ms.toFixed(1)} ms after a command`);
            let newest = -1;
            for (const line of robot.trace.executed()) {
                const sent = robot.stick.sent.get(line.left);
                if (!sent) wrong.push(`${robot.id} did what nobody sent: ${JSON.stringify(line)}`);
                else {
                    if (sent.n <= newest) wrong.push(`${robot.id} did command ${sent.n} after ${newest}`);
                    newest = Math.max(newest, sent.n);
                    const age = (line.t_ns - sent.at) / 1e6;
                    ages.push(age);
                    if (age > 600) wrong.push(`${robot.id} did a command that was ${age.toFixed(0)} ms old`);
                }
            }
        }
        if (ages.length) detail(`${ages.length} commands executed, the oldest ${Math.max(...ages).toFixed(1)} ms after it was sent`);
        assert.deepEqual(wrong.slice(0, 20), []);
    }

    // ---- the end

    async stop() {
        for (const robot of this.robots) {
            robot.stick.freeze();
            robot.stick.drop();
            if (robot.proc?.alive) await robot.proc.terminate().catch(() => robot.proc.kill());
            await robot.wire?.close();
        }
        for (const website of this.#websites) website.drop(); // also those that a test that failed has left
        await this.websiteWire?.close();
        if (this.nginx?.alive) await this.nginx.terminate().catch(() => this.killNginx());
        rigs.delete(this);
        await this.cluster?.stop().finally(() => this.network?.close());
    }
}

// What all relays together have counted: name → number. They write it once a second; this waits for what they write next.
export async function counted(cluster, relays) {
    const redis = await cluster.redis();
    const keys = relays.map((n) => `tr:metrics:wsd-${n}`);
    await redis.call('DEL', ...keys);
    const texts = await until(async () => {
        const all = await redis.call('MGET', ...keys);
        return !all.includes(null) && all;
    }, 5000, 'the relays write what they counted', 20);
    const counters = {};
    for (const [, name, value] of texts.join('').matchAll(/^telerelay_wsd_(\w+)\{.*\} (\d+)$/gm))
        counters[name] = (counters[name] ?? 0) + Number(value);
    return counters;
}

// A grip on the main thread of a process, and on nothing else of it: hang() stops it and gives the time (ns) at which
// it stood still, free() lets it go on.
export async function grip(proc) {
    const tool = spawn('python3', [path.join(ROOT, 'tests/faults/lib/hang.py'), String(proc.pid)], { stdio: ['pipe', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) tool[name].on('data', (data) => (output[name] += data));
    tool.stdin.on('error', () => {});
    const ended = new Promise((resolve) => tool.once('exit', resolve));
    const line = (n) => until(() => {
        if (tool.exitCode !== null) throw new Error(output.stderr);
        return output.stdout.split('\n')[n + 1] !== undefined;
    }, 5000, 'hang.py', 1).then(() => output.stdout.split('\n')[n]);
    await line(0);
    return {
        hang: async () => {
            tool.stdin.write('now\n');
            return Number(await line(1));
        },
        free: async () => {
            tool.stdin.end();
            await within(ended, 3000, 'the end of hang.py');
        },
    };
}
