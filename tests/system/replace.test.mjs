// Goal: the newest connection of a robot wins. Its old one, still open somewhere, is closed with 4001,
// and its late end makes nobody believe that the robot is gone.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, random, robotWent, until, Website } from './lib/harness.mjs';

describe('a robot that reconnects', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    for (const [name, first, second] of [['the same relay', 1, 1], ['another relay', 1, 2]])
        it(`on ${name}: the old connection is closed with 4001 and commands reach the new one only`, async () => {
            const websites = [await cluster.website(1), await cluster.website(2)];
            const old = await cluster.robot(first, 'robot_01');
            for (const website of websites) await website.sees(['robot_01']);
            const robot = await cluster.robot(second, 'robot_01');
            assert.equal(await old.closed(), 4001);
            const sent = old.history.length;
            for (const [i, website] of websites.entries()) {
                const value = 10 + i;
                assert.equal((await website.ask({ type: 'set_speed', value })).robots, 1);
                await robot.next({ type: 'set_speed', value });
            }
            assert.equal(old.history.length, sent);
            // A late joiner sees it too.
            const late = await cluster.website(1);
            await late.sees(['robot_01']);
            // A marker that goes the same way as a "disconnected" would.
            const marker = await cluster.robot(first, 'marker');
            await marker.leave();
            for (const website of websites) {
                await website.seen(robotWent('marker'));
                assert.equal(website.count({ status: 'disconnected', device_id: 'robot_01' }), 0);
                assert.deepEqual(website.online(), ['robot_01']);
            }
            const answer = await robot.telemetry({ battery: 9 });
            assert.equal(answer.type, 'ack');
        });

    it('while its old connection no longer reads: the new one works at once', async () => {
        const website = await cluster.website(2);
        const old = await cluster.robot(1, 'robot_01');
        await website.sees(['robot_01']);
        old.ws.pause();
        const robot = await cluster.robot(2, 'robot_01');
        assert.equal((await website.ask({ type: 'set_speed', value: 20 })).robots, 1);
        await robot.next({ value: 20 });
        old.ws.resume();
        assert.equal(await old.closed(), 4001);
        assert.equal(website.count({ status: 'disconnected' }), 0);
    });

    it('100 times at random, over two relays: one is online in the end, and it is the last', async () => {
        const { int, next } = random(20260115);
        const watcher = await cluster.website(1);
        const open = [];
        for (let round = 0; round < 100; round++) {
            // Some races: two or three connections at the same time; now and then old ones vanish on their own.
            const burst = 1 + (next() < 0.3 ? 1 + int(2) : 0);
            open.push(...await Promise.all(Array.from({ length: burst }, () => cluster.peer(1 + int(2), '?device_id=robot_01'))));
            if (next() < 0.3 && open.length) open.splice(int(open.length), 1)[0].drop();
            if (next() < 0.1) for (const robot of open.splice(0)) robot.drop();
        }
        const last = await cluster.robot(2, 'robot_01');
        for (const robot of open) await robot.closed(5000);
        for (const relay of [1, 2]) {
            const fresh = await Website.connect(cluster.url(relay));
            await fresh.sees(['robot_01']);
            await fresh.settled();
            assert.equal(fresh.count({ device_type: 'robot', device_id: 'robot_01', status: 'connected' }), 1);
            const value = 50 + relay;
            assert.equal((await fresh.ask({ type: 'set_speed', value })).robots, 1);
            await last.next({ value });
            await fresh.leave();
        }
        assert.ok(last.open);
        await watcher.sees(['robot_01']);
        // It may be told again that a robot connected, when a newer connection took over, but an end only once.
        const told = watcher.all({ device_type: 'robot', device_id: 'robot_01' }).map((one) => one.status);
        for (let i = 1; i < told.length; i++)
            assert.ok(told[i] === 'connected' || told[i - 1] === 'connected', `told ${told}`);
        await last.leave();
        await watcher.sees([]);
        const redis = await cluster.redis();
        await until(async () => (await redis.call('HLEN', 'tr:online')) === 0, 2000, 'nobody is online');
    });
});
