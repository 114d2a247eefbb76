// A very small Redis client (RESP2 over a unix socket), enough to look at what the relays stored.
import net from 'node:net';

export class RedisError extends Error {}

export class Redis {
    #socket;
    #buffer = Buffer.alloc(0);
    #waiting = [];
    onpush; // called with what comes unasked: messages of channels that are subscribed

    static open(path) {
        return new Promise((resolve, reject) => {
            const socket = net.connect(path);
            socket.once('error', reject);
            socket.once('connect', () => {
                socket.removeListener('error', reject);
                resolve(new Redis(socket));
            });
        });
    }

    constructor(socket) {
        this.#socket = socket;
        socket.on('data', (data) => this.#take(data));
        const gone = () => {
            for (const { reject } of this.#waiting.splice(0)) reject(new RedisError('connection closed'));
        };
        socket.on('error', gone);
        socket.on('close', gone);
    }

    get alive() {
        return !this.#socket.destroyed;
    }

    call(...words) {
        const parts = words.map((word) => Buffer.from(String(word)));
        const out = [Buffer.from(`*${parts.length}\r\n`)];
        for (const part of parts) out.push(Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n'));
        return new Promise((resolve, reject) => {
            if (this.#socket.destroyed) return reject(new RedisError('connection closed'));
            this.#waiting.push({ resolve, reject });
            this.#socket.write(Buffer.concat(out));
        });
    }

    // The samples of a device, oldest first: [{id, ms, metrics}].
    async samples(deviceId, from = '-', to = '+') {
        const entries = await this.call('XRANGE', `tr:tel:${deviceId}`, from, to);
        return entries.map(([id, fields]) => ({
            id,
            ms: Number(id.split('-')[0]),
            metrics: JSON.parse(`{${fields[fields.indexOf('d') + 1]}}`),
        }));
    }

    close() {
        this.#socket.destroy();
    }

    #take(data) {
        this.#buffer = this.#buffer.length ? Buffer.concat([this.#buffer, data]) : data;
        let at = 0;
        for (;;) {
            const parsed = parse(this.#buffer, at);
            if (!parsed) break;
            at = parsed.end;
            const waiter = this.#waiting.shift();
            if (!waiter) this.onpush?.(parsed.value);
            if (parsed.value instanceof RedisError) waiter?.reject(parsed.value);
            else waiter?.resolve(parsed.value);
        }
        this.#buffer = this.#buffer.subarray(at);
    }
}

// One reply at `at`: {value, end}, or null while it is incomplete.
function parse(buffer, at) {
    const eol = buffer.indexOf('\r\n', at);
    if (eol < 0) return null;
    const kind = String.fromCharCode(buffer[at]);
    const line = buffer.toString('utf8', at + 1, eol);
    let end = eol + 2;
    switch (kind) {
        case '+': return { value: line, end };
        case '-': return { value: new RedisError(line), end };
        case ':': return { value: Number(line), end };
        case '$': {
            const length = Number(line);
            if (length < 0) return { value: null, end };
            if (buffer.length < end + length + 2) return null;
            return { value: buffer.toString('utf8', end, end + length), end: end + length + 2 };
        }
        case '*': {
            const count = Number(line);
            if (count < 0) return { value: null, end };
            const value = [];
            for (let i = 0; i < count; i++) {
                const part = parse(buffer, end);
                if (!part) return null;
                value.push(part.value);
                end = part.end;
            }
            return { value, end };
        }
        default: throw new RedisError(`unexpected reply ${kind}`);
    }
}
