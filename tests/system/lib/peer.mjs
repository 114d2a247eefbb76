// Test clients over the `ws` package: they keep every message and wait with a deadline.
import WebSocket from 'ws';
import { within, Deadline } from './wait.mjs';

export const GREETING = Object.freeze({
    type: 'connection', status: 'connected', device_type: 'website', message: 'Dashboard connected to server',
});
const aboutRobot = (id, status, message) => ({
    type: 'connection', status, device_type: 'robot', device_id: id, message,
});
export const robotGreeting = (id) => aboutRobot(id, 'connected', `Robot ${id} connected to server`);
export const robotOnline = (id) => aboutRobot(id, 'connected', `Robot ${id} is currently connected`);
export const robotCame = (id) => aboutRobot(id, 'connected', `Robot ${id} has connected`);
export const robotWent = (id) => aboutRobot(id, 'disconnected', `Robot ${id} has disconnected`);

// Does `message` have all members of `want`?
export const matches = (message, want) =>
    Object.entries(want).every(([key, value]) => JSON.stringify(message[key]) === JSON.stringify(value));

// A pattern may be a function, a type name, or an object of members.
const predicate = (pattern) => {
    if (typeof pattern === 'function') return pattern;
    if (typeof pattern === 'string') return (message) => message.type === pattern;
    return (message) => matches(message, pattern);
};
const describe = (pattern) => (typeof pattern === 'object' ? JSON.stringify(pattern) : String(pattern));

export class Refused extends Error {
    constructor(status, headers) {
        super(`refused with HTTP ${status}`);
        this.status = status;
        this.headers = headers;
    }
}

export class Peer {
    history = []; // {message, raw, at}: everything that came, in order; at: performance.now()
    #cursor = 0; // next() looks from here on
    #watchers = new Set();
    #closed;

    // Connects; rejects with Refused when the server answers with an HTTP status.
    static async connect(url, { ms = 5000, ...options } = {}) {
        const peer = new this();
        const ws = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: ms, ...options });
        peer.ws = ws;
        peer.url = url;
        ws.on('message', (data, binary) => peer.#take(data, binary));
        peer.#closed = new Promise((resolve) => ws.on('close', (code, reason) => {
            peer.closeCode = code;
            peer.closeReason = reason.toString();
            peer.closedAt = performance.now();
            peer.#wake();
            resolve(code);
        }));
        const opened = new Promise((resolve, reject) => {
            ws.on('open', resolve);
            ws.on('error', reject);
            ws.on('unexpected-response', (request, response) => {
                response.resume();
                request.destroy();
                reject(new Refused(response.statusCode, response.headers));
            });
        });
        await within(opened, ms, `connection to ${url}`);
        ws.on('error', () => {});
        return peer;
    }

    get open() {
        return this.ws.readyState === WebSocket.OPEN;
    }

    // An object is sent as JSON, a string as it is (text), a Buffer as a binary frame.
    send(message) {
        if (Buffer.isBuffer(message)) this.ws.send(message, { binary: true });
        else this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
    }

    // The first message after the last one that next() gave; waits until it comes.
    async next(pattern = () => true, ms = 3000) {
        const { index, message } = await this.#find(predicate(pattern), this.#cursor, ms, pattern);
        this.#cursor = index + 1;
        return message;
    }

    // The first such message from entry `from` of the history on; leaves the position of next() alone.
    async seen(pattern, ms = 3000, from = 0) {
        return (await this.#find(predicate(pattern), from, ms, pattern)).message;
    }

    // The text of the frame that held `message`.
    raw(message) {
        return this.history.find((entry) => entry.message === message).raw;
    }

    all(pattern, from = 0) {
        const test = predicate(pattern);
        return this.history.slice(from).map((entry) => entry.message).filter(test);
    }

    count(pattern, from = 0) {
        return this.all(pattern, from).length;
    }

    // Forget what came so far, for next().
    skip() {
        this.#cursor = this.history.length;
        return this.#cursor;
    }

    // Sends, and waits for the ack or error that answers it.
    async ask(message, ms = 3000) {
        this.skip();
        this.send(message);
        return this.next((answer) => answer.type === 'ack' || answer.type === 'error', ms);
    }

    // Everything the relay had for this peer before now has arrived: it answers in order.
    async settled(ms = 3000) {
        const type = `settled_${Math.random().toString(36).slice(2, 10)}`;
        const from = this.history.length;
        this.send({ type });
        await this.seen({ type: 'error', code: 'unknown_type', original_type: type }, ms, from);
        return this;
    }

    closed(ms = 3000) {
        return within(this.#closed, ms, `end of ${this.url}`);
    }

    // Ends cleanly.
    async leave(ms = 3000) {
        this.ws.close(1000);
        return this.closed(ms);
    }

    // Ends as a vanished peer does.
    drop() {
        this.ws.terminate();
    }

    #find(test, from, ms, pattern) {
        let at = from;
        const look = () => {
            for (; at < this.history.length; at++)
                if (test(this.history[at].message)) return { index: at, message: this.history[at].message };
            return null;
        };
        const found = look();
        if (found) return Promise.resolve(found);
        return new Promise((resolve, reject) => {
            const end = (settle, value) => {
                clearTimeout(timer);
                this.#watchers.delete(watch);
                settle(value);
            };
            const watch = () => {
                const hit = look();
                if (hit) end(resolve, hit);
                else if (this.closeCode !== undefined)
                    end(reject, new Error(`closed with ${this.closeCode} while waiting for ${describe(pattern)}`));
            };
            const timer = setTimeout(() => {
                const tail = this.history.slice(-5).map((entry) => entry.raw.slice(0, 300)).join('\n  ');
                end(reject, new Deadline(`not within ${ms} ms: ${describe(pattern)}; the last messages:\n  ${tail}`));
            }, ms);
            this.#watchers.add(watch);
            watch();
        });
    }

    #take(data, binary) {
        const raw = data.toString();
        let message;
        try {
            message = binary ? { type: '(binary)' } : JSON.parse(raw);
        } catch {
            message = { type: '(not JSON)' };
        }
        this.history.push({ message, raw, at: performance.now() });
        this.#wake();
    }

    #wake() {
        for (const watch of [...this.#watchers]) watch();
    }
}

export class Website extends Peer {
    // Waits for the greeting.
    static async connect(url, options) {
        const peer = await super.connect(url, options);
        await peer.next({ device_type: 'website' }, options?.ms);
        return peer;
    }

    // Which robots this website takes for online, by all it was told.
    online() {
        const robots = new Map();
        for (const { message } of this.history)
            if (message.type === 'connection' && message.device_type === 'robot')
                robots.set(message.device_id, message.status === 'connected');
        return [...robots].filter(([, on]) => on).map(([id]) => id).sort();
    }

    // Waits until exactly these robots are online.
    async sees(ids, ms = 3000) {
        const want = [...ids].sort().join();
        if (this.online().join() !== want) await this.seen(() => this.online().join() === want, ms, 0).catch((error) => {
            if (this.online().join() !== want)
                throw new Error(`online should be [${want}], is [${this.online()}]: ${error.message}`);
        });
    }
}

export class Robot extends Peer {
    // Waits for the greeting.
    static async connect(url, deviceId, options) {
        const peer = await super.connect(url, options);
        peer.deviceId = deviceId;
        await peer.next((message) => message.type === 'connection', options?.ms);
        return peer;
    }

    // Sends a sample; gives the ack or the error.
    telemetry(metrics, ms = 3000) {
        return this.ask({ type: 'telemetry', ...metrics }, ms);
    }

    // The commands that arrived.
    commands(from = 0) {
        return this.all((message) => !['connection', 'ack', 'error'].includes(message.type), from);
    }
}

// A robot that obeys Stop, and says so, as the real client does.
export function obedient(robot) {
    robot.ws.on('message', (data) => {
        const m = JSON.parse(data.toString());
        if (m.type !== 'stop' && m.type !== 'rearm') return;
        robot.stopped = m.type === 'stop';
        robot.send({ type: 'stop_state', stopped: robot.stopped, seq: m.seq, by: m.by });
        if (m.id) robot.send({ type: 'ack', id: m.id, seq: m.seq, status: 'applied' });
    });
    robot.send({ type: 'stop_state', stopped: false });
    return robot;
}
