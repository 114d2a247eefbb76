// Goal: whatever Redis does while robots come and go, in the end those are online who are there: nobody stays
// "online" after leaving, nobody who is there stays unknown, and every website hears of it.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, pause, robotCame, robotGreeting, robotWent, until } from './lib/harness.mjs';

describe('who is online', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    const connOf = async (id) => (await (await cluster.redis()).call('HGET', 'tr:online', id))?.split(' ')[0];
    // Redis answers no script and no PUBLISH for so long; its clients are not cut off.
    const redisPauses = async (ms) => (await cluster.redis()).call('CLIENT', 'PAUSE', ms, 'WRITE');

    it('forgets a robot that left while Redis was away', async () => {
        const website = await cluster.website(2);
        const robot = await cluster.robot(1, 'robot_01');
        const stays = await cluster.robot(1, 'robot_02');
        await website.sees(['robot_01', 'robot_02']);
        await (await cluster.redis()).call('WAITAOF', 1, 0, 1000).catch(() => pause(1200)); // on disk (Redis 7.0: after a second)
        await cluster.killRedis();
        await website.next({ type: 'relay_status', redis: false });
        await robot.leave();
        await cluster.startRedis();
        await website.next(robotWent('robot_01'), 5000);
        await until(async () => !(await connOf('robot_01')), 2000, 'robot_01 is gone from Redis');
        assert.deepEqual(website.online(), ['robot_02']);
        assert.ok(stays.open);
    });

    it('forgets a robot that left before a slow Redis had entered it', async () => {
        await redisPauses(500);
        const robot = await cluster.peer(1, '?device_id=robot_03');
        await pause(350); // longer than a relay waits for other answers
        robot.drop();
        const website = await cluster.website(2);
        const marker = await cluster.robot(2, 'marker'); // entered after robot_03
        await website.seen({ type: 'connection', device_id: 'marker' }, 5000);
        await until(async () => !(await connOf('robot_03')), 3000, 'robot_03 is gone from Redis');
        await marker.leave();
    });

    it('enters a robot that came while Redis was slow, once', async () => {
        const website = await cluster.website(2);
        await redisPauses(450);
        const robot = await cluster.peer(1, '?device_id=robot_04');
        await website.next(robotCame('robot_04'), 5000);
        assert.deepEqual(await robot.next({ type: 'connection' }), robotGreeting('robot_04'));
        // Its relay knows its number: it closes it when it comes back elsewhere, and takes it out when it goes.
        const again = await cluster.robot(2, 'robot_04');
        assert.equal(await robot.closed(), 4001);
        await again.leave();
        await website.next(robotWent('robot_04'), 5000);
        assert.equal(website.count(robotCame('robot_04')), 2);
    });

    it('is told after a snapshot that was not answered in time', async () => {
        const website = await cluster.website(1);
        const redis = await cluster.redis();
        const seq = Number(await redis.call('INCR', 'tr:pseq')); // an event that nobody gets: the next one shows the gap
        await redis.call('MULTI');
        await redis.call('PUBLISH', 'tr/pres', `${seq + 1} up 1 nobody`);
        await redis.call('SET', 'tr:pseq', seq + 1);
        await redis.call('CLIENT', 'PAUSE', 400, 'WRITE');
        await redis.call('EXEC');
        const robot = await cluster.robot(2, 'robot_05');
        await website.next(robotCame('robot_05'), 5000);
        await robot.leave();
        await website.next(robotWent('robot_05'), 5000);
    });

    it('enters a robot once Redis takes writes again', async () => {
        const website = await cluster.website(2);
        const redis = await cluster.redis();
        await redis.call('CONFIG', 'SET', 'maxmemory', '1');
        const robot = await cluster.peer(1, '?device_id=robot_06');
        await robot.next(robotGreeting('robot_06'));
        await redis.call('CONFIG', 'SET', 'maxmemory', '0');
        await website.next(robotCame('robot_06'), 5000);
    });

    it('has one connection of a robot that comes through both relays at once', async () => {
        const redis = await cluster.redis();
        for (let round = 0; round < 10; round++) {
            const id = (i) => `flapping-${round}-${i % 5}`;
            const peers = await Promise.all(Array.from({ length: 30 }, (_, i) => cluster.peer(1 + (i % 2), `?device_id=${id(i)}`)));
            await until(() => peers.filter((peer) => peer.open).length === 5, 3000, 'one connection is left of each');
            for (const [i, peer] of peers.entries()) {
                if (!peer.open) continue;
                assert.match(await redis.call('HGET', 'tr:online', id(i)), new RegExp(` wsd-${1 + (i % 2)}$`));
                peer.drop();
            }
        }
    });

    it('has nobody of a relay that ended while its robots were coming', async () => {
        const redis = await cluster.redis();
        for (let round = 0; round < 5; round++) {
            const robots = Array.from({ length: 20 }, (_, i) => cluster.peer(1, `?device_id=r${i}`).catch(() => null));
            await until(async () => (await redis.call('HLEN', 'tr:online')) > round * 3, 3000, 'some are online', 1);
            await cluster.relay(1).terminate();
            await Promise.all(robots);
            assert.equal(await redis.call('HLEN', 'tr:online'), 0);
            await cluster.startRelay(1);
        }
    });
});
