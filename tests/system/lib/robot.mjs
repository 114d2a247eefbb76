// telerelay-robot at the seam to its relay, which a plain WebSocket server plays. Whatever a test starts here
// ends after it, and has to end well.
import { after, afterEach } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { WebSocketServer } from 'ws';
import { Proc, program, sanitizerEnv, temporaryDirectory, until, within } from './harness.mjs';

export const now = () => process.hrtime.bigint(); // CLOCK_MONOTONIC in ns, as in the trace
export const ms = (ns) => Number(ns) / 1e6;

export const dir = temporaryDirectory();
const robots = [];
const relays = [];
after(() => fs.rmSync(dir, { recursive: true, force: true }));
afterEach(async () => {
    for (const relay of relays.splice(0)) await relay.kill();
    const ended = robots.splice(0);
    for (const robot of ended) {
        const { status, signal } = await robot.proc.terminate(3000);
        assert.deepEqual({ status, signal }, { status: robot.expectedStatus ?? 0, signal: null }, robot.proc.log());
    }
    for (const file of fs.readdirSync(dir).filter((name) => /\.(asan|ubsan)\./.test(name))) {
        const text = fs.readFileSync(path.join(dir, file), 'utf8');
        fs.rmSync(path.join(dir, file));
        assert.fail(text);
    }
});

// A connection of the robot, as the relay sees it.
class Link {
    messages = [];
    #waiting = new Map(); // id of a command → who waits for its answer
    constructor(ws, request) {
        this.ws = ws;
        this.request = request;
        ws.on('message', (data) => {
            const message = JSON.parse(data);
            this.messages.push(message);
            if (message.type === 'ack') this.#waiting.get(message.id)?.(message);
        });
        ws.on('error', () => {});
        this.closed = new Promise((resolve) => ws.on('close', (code) => resolve(code)));
    }

    send(message) {
        this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
    }

    greet() {
        const device_id = new URL(this.request.url, 'ws://x').searchParams.get('device_id');
        this.send({ type: 'connection', status: 'connected', device_type: 'robot', device_id, message: `Robot ${device_id} connected to server` });
    }

    drive(x, y) {
        this.send({ type: 'robot_move', x, y, timestamp: '2026-01-15T10:30:45.123456Z' });
    }

    // A command that wants an answer, with its own number and the newest heartbeat unless told otherwise.
    order(fields) {
        const id = `c${this.orders = (this.orders ?? 0) + 1}`;
        const hb = this.messages.findLast(({ type }) => type === 'heartbeat')?.hb;
        const answer = this.answer(id);
        this.send({ id, ...(hb !== undefined && { hb, relay_hb: hb }), ...fields });
        return answer;
    }

    // The answer to a command; to be asked for at once.
    answer(id, limit = 6000) {
        return within(new Promise((resolve) => this.#waiting.set(id, resolve)), limit, `an answer to ${id}`);
    }

    get(type, count = 1, limit = 3000) {
        const found = () => this.messages.filter((message) => message.type === type);
        return until(() => (found().length >= count ? found() : null), limit, `${count} × ${type}`);
    }
}

export class Relay {
    links = [];
    answers = []; // the heads of the 101 answers
    static async listen({ port = 0, tls, status } = {}) {
        const relay = new Relay();
        relay.server = tls ? https.createServer(tls) : http.createServer();
        relay.wss = new WebSocketServer({
            server: relay.server, perMessageDeflate: true,
            ...(status && { verifyClient: (info, done) => { relay.refused = (relay.refused ?? 0) + 1; done(false, status); } }),
        });
        relay.wss.on('error', () => {});
        relay.wss.on('headers', (headers) => relay.answers.push(headers.join('\n')));
        relay.wss.on('connection', (ws, request) => {
            const link = new Link(ws, request);
            link.at = now();
            relay.links.push(link);
            link.greet();
        });
        relay.server.listen(port, '127.0.0.1');
        await within(new Promise((resolve) => relay.server.once('listening', resolve)), 2000, 'listening');
        relay.port = relay.server.address().port;
        relays.push(relay);
        return relay;
    }

    // The n-th connection, counted from 1.
    link(n = 1, limit = 3000) {
        return until(() => this.links[n - 1], limit, `connection ${n}`);
    }

    async kill() {
        for (const { ws } of this.links) ws.terminate();
        this.wss.close();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

export function startRobot(port, { flags = [], id = 'robot_01', scheme = 'ws', host = 'localhost', env = {}, within: prefix = [] } = {}) {
    const base = path.join(dir, `robot${now()}`);
    const [command, ...before] = [...prefix, program('telerelay-robot')];
    const proc = new Proc('robot', command, [
        ...before, '--url', `${scheme}://${host}:${port}/ws/telemetry/`, '--device-id', id, '--trace', `${base}.trace`, ...flags,
    ], { env: { ...sanitizerEnv(base), ...env }, log: `${base}.log` });
    const robot = {
        proc,
        trace: () => (fs.existsSync(`${base}.trace`) ? fs.readFileSync(`${base}.trace`, 'utf8') : '').split('\n')
            .filter(Boolean).map((line) => JSON.parse(line)),
        drive: () => robot.trace().filter(({ output }) => output === 'drive'),
        says: async (pattern, limit = 3000) => {
            try {
                await until(() => pattern.test(proc.log()), limit, `${pattern}`);
            } catch (error) {
                throw new Error(`${error.message} in\n${proc.log()}`);
            }
        },
        // kill -9: a crash, or the power.
        kill: () => {
            robots.splice(robots.indexOf(robot), 1);
            return proc.kill();
        },
        // The first change of the drive after `from` (ns) to which the test says yes.
        driveAfter: (from, test, limit = 3000) => until(
            () => robot.drive().find((line) => line.t_ns >= Number(from) && test(line)), limit, 'a change of the drive'),
    };
    robots.push(robot);
    return robot;
}

export const atRest = (line) => line.left === 0 && line.right === 0;
export const moving = (line) => !atRest(line);

