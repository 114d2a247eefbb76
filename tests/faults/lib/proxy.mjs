// A wire between two ends that holds back, delays and tears: whatever TCP can do to those who trust it.
// What is held is kept and comes later, all at once, as after a stall.
import net from 'node:net';

// One direction of one connection.
class Way {
    #queue = []; // {data, due}; data null: the end
    #last = 0;
    #timer;

    constructor(proxy, name, from, to) {
        Object.assign(this, { proxy, name, to });
        from.on('data', (data) => this.#put(data));
        from.on('end', () => this.#put(null));
    }

    get held() {
        return this.#queue.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    }

    #put(data) {
        const { mean, jitter } = this.proxy.delays[this.name];
        const wait = mean + jitter * (2 * this.proxy.chance() - 1);
        this.#last = Math.max(this.#last, performance.now() + wait); // order stays
        this.#queue.push({ data, due: this.#last });
        this.flush();
    }

    flush() {
        clearTimeout(this.#timer);
        while (this.#queue.length && !this.proxy.held.has(this.name)) {
            const [{ data, due }] = this.#queue;
            const left = due - performance.now();
            if (left > 0.5) {
                this.#timer = setTimeout(() => this.flush(), left);
                return;
            }
            this.#queue.shift();
            if (data) this.to.write(data);
            else this.to.end();
        }
    }

    stop() {
        clearTimeout(this.#timer);
        this.#queue = [];
    }
}

export class Proxy {
    held = new Set(); // of 'to' (from the server to the client) and 'from'
    delays = { to: { mean: 0, jitter: 0 }, from: { mean: 0, jitter: 0 } };
    #pairs = new Set();

    // server: {host, port}; chance: numbers in [0, 1).
    static async listen(server, chance) {
        const proxy = new Proxy();
        proxy.chance = chance;
        proxy.listener = net.createServer((client) => proxy.#join(client, server)).listen(0, '127.0.0.1');
        await new Promise((resolve) => proxy.listener.once('listening', resolve));
        proxy.port = proxy.listener.address().port;
        return proxy;
    }

    #join(client, server) {
        const far = net.connect(server);
        const pair = { client, far, ways: [new Way(this, 'from', client, far), new Way(this, 'to', far, client)] };
        this.#pairs.add(pair);
        const gone = (other) => {
            // An end that vanishes is told across only when the wire carries anything.
            if (this.held.size === 0) other.destroy();
            else this.#orphans.add(other);
        };
        for (const [one, other] of [[client, far], [far, client]]) {
            one.setNoDelay(true);
            one.on('error', () => {});
            one.on('close', () => {
                gone(other);
                if (client.destroyed && far.destroyed) this.#drop(pair);
            });
        }
    }

    #orphans = new Set();

    #drop(pair) {
        for (const way of pair.ways) way.stop();
        this.#pairs.delete(pair);
    }

    // Bytes that wait.
    waiting() {
        return [...this.#pairs].flatMap(({ ways }) => ways).reduce((sum, way) => sum + way.held, 0);
    }

    hold(...ways) {
        for (const way of ways.length ? ways : ['to', 'from']) this.held.add(way);
    }

    release() {
        this.held.clear();
        for (const { ways } of this.#pairs) for (const way of ways) way.flush();
        for (const socket of this.#orphans) socket.destroySoon();
        this.#orphans.clear();
    }

    delay(mean, jitter) {
        for (const way of ['to', 'from']) this.delays[way] = { mean, jitter };
    }

    // Everybody's connection is reset.
    reset() {
        for (const { client, far } of this.#pairs) {
            client.resetAndDestroy();
            far.resetAndDestroy();
        }
    }

    async close() {
        this.listener.close();
        for (const pair of this.#pairs) {
            pair.client.destroy();
            pair.far.destroy();
            this.#drop(pair);
        }
    }
}
