// Goal: the real parts together — nginx, two relays, Redis, the api and a telerelay-robot — survive the
// death of any of them: the robot is back within 2 s, nobody sees a ghost, no acknowledged sample is lost.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { Robot, Stack, Website, pause, until } from './lib/harness.mjs';

// A robot that comes back through nginx whenever it is cut off, and notes what was acknowledged.
class Stubborn {
    static all = [];
    acknowledged = new Set();
    running = true;

    constructor(stack, id) {
        Stubborn.all.push(this);
        this.done = this.#run(stack, id);
    }

    async #run(stack, id) {
        for (let n = 1; this.running;) {
            let robot;
            try {
                robot = await Robot.connect(stack.url(`?device_id=${id}`), id, { ms: 1000 });
                while (this.running && robot.open) {
                    const answer = await robot.telemetry({ battery: 50, n }, 2000);
                    if (answer.type === 'ack') this.acknowledged.add(n);
                    n++;
                    await pause(10);
                }
            } catch {
                n++; // whether that one was stored is not known
                await pause(20);
            } finally {
                robot?.drop();
            }
        }
    }

    async stop() {
        this.running = false;
        await this.done;
        return this.acknowledged;
    }
}

describe('the stack', () => {
    let stack;
    before(async () => {
        stack = await Stack.start({ relays: 2, robots: 1, env: { TELERELAY_ROBOT_INTERVAL: '0.2', LIMITS: 'off' } });
    });
    after(async () => {
        for (const stubborn of Stubborn.all) stubborn.running = false;
        await stack?.stop();
    });

    const device = (id) => stack.get(`/api/devices/${id}`);
    const direct = async (relay) => Website.connect(`ws+unix://${path.join(stack.env.RUN_DIR, `${relay}.sock`)}:/ws/telemetry/`);

    // Every sample of a device, by following the cursor.
    async function history(id) {
        const items = [];
        let cursor = '';
        do {
            const page = await stack.get(`/api/telemetry?device_id=${id}&order=asc&limit=500${cursor && `&cursor=${cursor}`}`);
            items.push(...page.items);
            cursor = page.next_cursor && encodeURIComponent(page.next_cursor);
        } while (cursor);
        return items;
    }

    // A command through nginx that the real robot carries out, seen in its trace.
    async function drives() {
        const website = await stack.website();
        const value = 1 + Math.floor(Math.random() * 99);
        const answer = await until(async () => {
            const one = await website.ask({ type: 'set_brightness', value, device_id: 'robot_01' });
            return one.robots === 1 && one;
        }, 5000, 'a command reaches robot_01', 10);
        assert.equal(answer.robots, 1);
        await until(() => stack.log('robot_01.trace').trim().split('\n').some((line) => {
            const { output, value: set } = JSON.parse(line);
            return output === 'brightness' && set === value;
        }), 2000, 'the trace shows the command', 10);
        await website.leave();
    }

    it('kill -9 of the relay that serves the robot: back through the other within 2 s, no ghost, nothing lost', async () => {
        await drives();
        const stubborn = new Stubborn(stack, 'robot_02');
        await until(() => stubborn.acknowledged.size > 20, 5000, 'samples flow');
        const { relay } = await device('robot_01');
        const other = relay === 'wsd-1' ? 'wsd-2' : 'wsd-1';
        const watcher = await direct(other);
        await watcher.sees(['robot_01', 'robot_02']);
        const websites = await Promise.all(Array.from({ length: 6 }, () => stack.website()));
        for (const website of websites) await website.sees(['robot_01', 'robot_02']);
        const updates = watcher.count('telemetry_update');
        await watcher.seen(() => watcher.count('telemetry_update') > updates + 3);

        stack.signal(relay, 'SIGKILL');
        const at = performance.now();
        await until(async () => (await device('robot_01')).relay === other, 8000, 'robot_01 is back', 5);
        assert.equal((await watcher.ask({ type: 'set_speed', value: 50, device_id: 'robot_01' })).robots, 1);
        const took = performance.now() - at;
        console.log(`the robot of a killed relay was back through the other after ${Math.round(took)} ms`);
        assert.ok(took <= 2000, `${took} ms`);
        assert.equal((await device('robot_01')).online, true);

        // The websites of the dead relay were cut off, and come back at once; those of the other noticed nothing.
        const cut = [];
        for (const website of websites) if (!website.open || website.closeCode !== undefined) cut.push(website);
        console.log(`${cut.length} of ${websites.length} websites were cut off`);
        for (const website of websites.filter((one) => one.open)) {
            assert.equal(website.count({ status: 'disconnected' }), 0);
            await website.sees(['robot_01', 'robot_02'], 5000);
        }
        const again = await Promise.all(cut.map(() => stack.website()));
        for (const website of again) {
            await website.sees(['robot_01', 'robot_02'], 5000);
            assert.equal((await website.ask({ type: 'set_speed', value: 51, device_id: 'robot_01' })).robots, 1);
        }
        await drives();

        // The dead relay returns; nobody who was on it is a ghost.
        assert.equal((await stack.run('start', relay)).status, 0);
        const fresh = await direct(relay);
        await fresh.sees(['robot_01', 'robot_02']);
        await fresh.settled();
        assert.equal(watcher.count({ status: 'disconnected' }), 0);

        const acknowledged = await stubborn.stop();
        await watcher.sees(['robot_01']);
        const stored = new Set((await history('robot_02')).map((item) => item.n));
        const missing = [...acknowledged].filter((n) => !stored.has(n));
        assert.deepEqual(missing, [], `${missing.length} of ${acknowledged.size} acknowledged samples are missing`);
        // What a website was shown of the real robot is in its history too.
        await watcher.seen(() => watcher.count({ type: 'telemetry_update', device_id: 'robot_01' }) > 5, 5000);
        const shown = watcher.all({ type: 'telemetry_update', device_id: 'robot_01' });
        const times = new Set((await history('robot_01')).map((item) => Date.parse(item.timestamp)));
        for (const update of shown) assert.ok(times.has(Date.parse(update.timestamp)), `${update.timestamp} is missing`);
        watcher.drop();
        fresh.drop();
    });

    it('kill -9 of Redis and its restart: everything works within 1 s, nothing lost', async () => {
        const website = await stack.website();
        await website.sees(['robot_01']);
        const robot = await stack.robot('robot_03');
        const stubborn = new Stubborn(stack, 'robot_04');
        await until(() => stubborn.acknowledged.size > 20, 5000, 'samples flow');
        stack.signal('redis', 'SIGKILL');
        await website.seen({ type: 'relay_status', redis: false }, 2000);
        assert.equal((await robot.telemetry({ battery: 2 })).code, 'not_stored');
        const unready = await fetch(`http://127.0.0.1:${stack.port}/readyz`);
        assert.equal(unready.status, 503);
        assert.equal((await stack.run('start', 'redis')).status, 0); // returns once Redis answers
        const at = performance.now();
        await until(async () => (await robot.telemetry({ battery: 3 })).type === 'ack', 3000, 'telemetry is stored again');
        await until(async () => (await website.ask({ type: 'set_speed', value: 52 })).robots === 3, 3000, 'commands reach all robots again');
        const update = website.history.length;
        await website.seen({ type: 'telemetry_update', device_id: 'robot_01' }, 2000, update);
        const took = performance.now() - at;
        console.log(`everything worked ${Math.round(took)} ms after Redis was back`);
        assert.ok(took <= 1000, `${took} ms`);
        assert.equal((await stack.get('/api/devices')).items.filter((item) => item.online).length, 3);
        const acknowledged = await stubborn.stop();
        const stored = new Set((await history('robot_04')).map((item) => item.n));
        const missing = [...acknowledged].filter((n) => !stored.has(n));
        assert.deepEqual(missing, [], `${missing.length} of ${acknowledged.size} acknowledged samples are missing`);
        assert.ok(website.open && robot.open);
        assert.equal(website.count({ status: 'disconnected', device_id: 'robot_01' }), 0);
        await robot.leave();
        await website.leave();
    });

    it('kill -9 of nginx and its restart: the robot comes back by itself', async () => {
        stack.signal('nginx', 'SIGKILL');
        const watchers = [await direct('wsd-1'), await direct('wsd-2')];
        await stack.run('stop', 'nginx');
        for (const watcher of watchers) await watcher.sees([], 6000);
        assert.equal((await stack.run('start', 'nginx')).status, 0);
        for (const watcher of watchers) await watcher.sees(['robot_01'], 6000);
        await drives();
        for (const watcher of watchers) {
            assert.equal(watcher.count({ status: 'disconnected', device_id: 'robot_01' }), 1);
            watcher.drop();
        }
    });

    it('kill -9 of the api: the drive goes on, and history is there again after its restart', async () => {
        stack.signal('api', 'SIGKILL');
        const before = await stack.website();
        await before.sees(['robot_01']);
        assert.equal((await before.ask({ type: 'set_speed', value: 53 })).robots, 1);
        await stack.run('stop', 'api');
        const response = await fetch(`http://127.0.0.1:${stack.port}/api/telemetry?device_id=robot_01`);
        assert.equal(response.status, 503);
        assert.match(response.headers.get('content-type'), /^application\/problem\+json/);
        assert.equal((await stack.run('start', 'api')).status, 0);
        assert.ok((await history('robot_01')).length > 0);
        await before.leave();
    });

    it('a robot that is killed is told gone once', async () => {
        const website = await stack.website();
        await website.sees(['robot_01']);
        stack.signal('robot_01', 'SIGKILL');
        await website.sees([], 5000);
        assert.equal((await stack.run('start', 'robot_01')).status, 0);
        await website.sees(['robot_01'], 5000);
        assert.equal(website.count({ status: 'disconnected' }), 1);
    });
});
