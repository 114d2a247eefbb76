// WebSocket by hand, for everything a proper client would never send.
import net from 'node:net';
import crypto from 'node:crypto';
import { within } from './wait.mjs';

export const OP = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

// One frame. `declared`: the length that its header says, when not the payload's.
export function frame(op, payload = '', { fin = true, mask = true, rsv = 0, declared } = {}) {
    const body = Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
    const length = declared ?? body.length;
    let head;
    if (length < 126) head = Buffer.from([0, length]);
    else if (length < 65536) {
        head = Buffer.alloc(4);
        head[1] = 126;
        head.writeUInt16BE(length, 2);
    } else {
        head = Buffer.alloc(10);
        head[1] = 127;
        head.writeBigUInt64BE(BigInt(length), 2);
    }
    head[0] = (fin ? 0x80 : 0) | (rsv << 4) | op;
    if (!mask) return Buffer.concat([head, body]);
    head[1] |= 0x80;
    const key = crypto.randomBytes(4);
    const masked = Buffer.alloc(body.length);
    for (let i = 0; i < body.length; i++) masked[i] = body[i] ^ key[i & 3];
    return Buffer.concat([head, key, masked]);
}

// A message in several frames, cut at the given lengths.
export function fragments(op, payload, count) {
    const body = Buffer.from(payload);
    const size = Math.ceil(body.length / count);
    return Array.from({ length: count }, (_, i) =>
        frame(i === 0 ? op : OP.more, body.subarray(i * size, (i + 1) * size), { fin: i === count - 1 }));
}

export const upgrade = (target, headers = {}) => {
    const all = {
        Host: 'localhost', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'), ...headers,
    };
    const lines = Object.entries(all).filter(([, value]) => value !== undefined).map(([key, value]) => `${key}: ${value}`);
    return `GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
};

export class RawPeer {
    status = 0; // of the HTTP answer
    headers = {};
    frames = []; // {op, payload}
    mute = false; // does not answer a close frame
    #buffer = Buffer.alloc(0);
    #watchers = new Set();

    // where: a socket path, or {port, host}. Only connects.
    static async dial(where, ms = 3000) {
        const peer = new RawPeer();
        peer.socket = typeof where === 'string' ? net.connect(where) : net.connect(where);
        peer.socket.on('data', (data) => peer.#take(data));
        const gone = () => {
            peer.ended = true;
            peer.#wake();
        };
        peer.socket.on('end', gone);
        peer.socket.on('close', gone);
        peer.socket.on('error', gone);
        await within(new Promise((resolve, reject) => {
            peer.socket.once('connect', resolve);
            peer.socket.once('error', reject);
        }), ms, `connection to ${JSON.stringify(where)}`);
        return peer;
    }

    // Dials, sends an upgrade for `target` and waits for the HTTP answer.
    static async connect(where, target, { headers, ms = 3000 } = {}) {
        const peer = await RawPeer.dial(where, ms);
        peer.write(upgrade(target, headers));
        await peer.answered(ms);
        return peer;
    }

    write(data) {
        if (!this.socket.destroyed) this.socket.write(data);
    }

    answered(ms = 3000) {
        return this.#until(() => this.status || this.ended, ms, 'an HTTP answer');
    }

    ending(ms = 3000) {
        return this.#until(() => this.ended, ms, 'the end of the connection');
    }

    // The close code that came before the end; 1006 for an end without one.
    async closed(ms = 3000) {
        await this.ending(ms);
        const close = this.frames.find((one) => one.op === OP.close);
        if (!close) return 1006;
        return close.payload.length >= 2 ? close.payload.readUInt16BE(0) : 1005;
    }

    async message(test, ms = 3000) {
        let found;
        await this.#until(() => (found = this.messages().find(test)) || this.ended, ms, 'a message');
        return found;
    }

    messages() {
        return this.frames.filter((one) => one.op === OP.text).map((one) => {
            try {
                return JSON.parse(one.payload.toString());
            } catch {
                return { type: '(not JSON)' };
            }
        });
    }

    destroy() {
        this.socket.destroy();
    }

    #until(test, ms, what) {
        if (test()) return Promise.resolve();
        let watch;
        const done = new Promise((resolve) => {
            watch = () => test() && resolve();
            this.#watchers.add(watch);
        });
        return within(done, ms, what).finally(() => this.#watchers.delete(watch));
    }

    #wake() {
        for (const watch of [...this.#watchers]) watch();
    }

    #take(data) {
        this.#buffer = Buffer.concat([this.#buffer, data]);
        if (!this.status && !this.#takeHead()) return;
        if (this.status === 101) this.#takeFrames();
        this.#wake();
    }

    #takeHead() {
        const end = this.#buffer.indexOf('\r\n\r\n');
        if (end < 0) return false;
        const [first, ...lines] = this.#buffer.toString('latin1', 0, end).split('\r\n');
        this.#buffer = this.#buffer.subarray(end + 4);
        this.status = Number(first.split(' ')[1]);
        for (const line of lines) {
            const colon = line.indexOf(':');
            this.headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
        }
        return true;
    }

    #takeFrames() {
        for (;;) {
            const b = this.#buffer;
            if (b.length < 2) return;
            let length = b[1] & 0x7f;
            let at = 2;
            if (length === 126) {
                if (b.length < 4) return;
                length = b.readUInt16BE(2);
                at = 4;
            } else if (length === 127) {
                if (b.length < 10) return;
                length = Number(b.readBigUInt64BE(2));
                at = 10;
            }
            if (b.length < at + length) return;
            const one = { op: b[0] & 15, payload: b.subarray(at, at + length) };
            this.frames.push(one);
            this.#buffer = b.subarray(at + length);
            if (one.op === OP.close && !this.mute) {
                this.write(frame(OP.close, one.payload));
                this.socket.end();
            }
        }
    }
}
