// The relay's Lua scripts as it runs them (with their prelude, from the generated header), on a Redis of their own.
import fs from 'node:fs';
import path from 'node:path';
import { Proc, Redis, ROOT, temporaryDirectory, until } from './harness.mjs';

export const relayName = (instance) => instance.split('#')[0];

// {name: text}
function scripts() {
    const header = fs.readFileSync(path.join(ROOT, 'build/gen/wsd_scripts.h'), 'utf8');
    const all = {};
    let lines;
    for (const line of header.split('\n')) {
        const name = line.match(/^static const char script_(\w+)\[\] =$/);
        if (name) all[name[1]] = lines = [];
        else if (line.startsWith('    "')) lines.push(JSON.parse(line)); // the same escapes in C
    }
    return Object.fromEntries(Object.entries(all).map(([name, text]) => [name, text.join('')]));
}

export class Scripts {
    #dir = temporaryDirectory();
    #server;
    #listener;
    #sha = {};
    #pushed = []; // [channel, text] since the last told()
    #subscribers = [];
    events = 1000; // to keep
    commands = 1000;

    static async start() {
        const one = new Scripts();
        one.#server = new Proc('redis', 'redis-server', ['--port', '0', '--unixsocket', one.socket, '--dir', one.#dir,
            '--save', '', '--appendonly', 'no', '--daemonize', 'no'], { log: path.join(one.#dir, 'redis.log') });
        one.redis = await until(() => Redis.open(one.socket), 5000, 'Redis accepts');
        await until(async () => (await one.redis.call('PING')) === 'PONG', 5000, 'Redis answers');
        one.#listener = await Redis.open(one.socket);
        one.#listener.onpush = ([kind, , channel, text]) => kind === 'pmessage' && one.#pushed.push([channel, text]);
        // Not to tr/cmd/*: it would count as a robot.
        for (const pattern of ['tr/pres', 'tr/state', 'tr/relay/*', 'tr/marker']) await one.#listener.call('PSUBSCRIBE', pattern);
        for (const [name, text] of Object.entries(scripts())) one.#sha[name] = await one.redis.call('SCRIPT', 'LOAD', text);
        return one;
    }

    get socket() {
        return path.join(this.#dir, 'redis.sock');
    }

    async stop() {
        this.redis?.close();
        this.#listener?.close();
        await this.#server?.kill();
        fs.rmSync(this.#dir, { recursive: true, force: true });
    }

    async clear() {
        for (const one of this.#subscribers.splice(0)) one.close();
        await until(async () => (await this.redis.call('PUBSUB', 'CHANNELS', 'tr/cmd/*')).length === 0, 2000, 'nobody listens', 1);
        await this.told();
        await this.redis.call('FLUSHALL');
    }

    run(name, instance, ...args) {
        return this.runOn(this.redis, name, instance, ...args);
    }

    // On a connection of the caller's.
    runOn(redis, name, instance, ...args) {
        return redis.call('EVALSHA', this.#sha[name], 0, instance, relayName(instance), this.events, this.commands, ...args);
    }

    // Redis' clock, ms.
    async now() {
        const [s, us] = await this.redis.call('TIME');
        return s * 1000 + Math.floor(us / 1000);
    }

    // What was published until now, as "channel text".
    async told() {
        const marker = String(Math.random());
        await this.redis.call('PUBLISH', 'tr/marker', marker);
        await until(() => this.#pushed.some(([, text]) => text === marker), 2000, 'the marker comes back', 1);
        const all = this.#pushed.filter(([channel]) => channel !== 'tr/marker').map((one) => one.join(' '));
        this.#pushed = [];
        return all;
    }

    // A robot, as far as Redis can see. take() resolves with what has arrived since the last take.
    async robot(id) {
        const one = await Redis.open(this.socket);
        let got = [];
        one.onpush = ([kind, , text]) => kind === 'message' && got.push(text);
        await one.call('SUBSCRIBE', `tr/cmd/${id}`);
        one.take = async () => {
            const marker = `marker ${Math.random()}`;
            await this.redis.call('PUBLISH', `tr/cmd/${id}`, marker);
            await until(() => got.includes(marker), 2000, 'the marker comes back', 1);
            const all = got.filter((text) => !text.startsWith('marker '));
            got = [];
            return all;
        };
        this.#subscribers.push(one);
        return one;
    }

    // A hash as an object.
    async hash(key) {
        const flat = await this.redis.call('HGETALL', key);
        return Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]));
    }

    // Entries of a stream of JSON members, oldest first.
    async stream(key) {
        return (await this.redis.call('XRANGE', key, '-', '+')).map(([, [, text]]) => JSON.parse(`{${text}}`));
    }
}
