// Goal: with Redis gone, or full, what moves comes to rest, also a robot that has no dead-man of its own; a Stop reaches
// whom it can at once and the rest as soon as can be; what is known is shown; nobody loses control by it.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Cluster, obedient, pause, until } from './lib/harness.mjs';

const move = (y, more = {}) => ({ type: 'robot_move', x: 0, y, ...more });
const state = (device_id, stopped, confirmed) => ({ type: 'stop_state', device_id, stopped, confirmed });
const atRest = (robot) => robot.all('robot_move').at(-1)?.y === 0;

// Repeats a motion 20 times a second until told to end.
function hold(website, message) {
    const timer = setInterval(() => website.open && website.send(message), 50);
    return () => clearInterval(timer);
}

describe('without Redis', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    afterEach(async () => {
        if (!cluster.redisProc.alive) await cluster.startRedis();
        await cluster.clear(8000);
    });
    after(() => cluster.stop());

    // Robots on both relays, driven by a held stick, and Redis killed.
    async function driving() {
        const robots = [await cluster.robot(1, 'robot_01'), await cluster.robot(2, 'robot_02')];
        const website = await cluster.website(1);
        await website.sees(['robot_01', 'robot_02']);
        const letGo = hold(website, move(1));
        for (const robot of robots) await robot.seen(move(1));
        await cluster.killRedis();
        await website.seen({ type: 'relay_status', redis: false });
        return { robots, website, letGo };
    }

    it('old robots come to rest on every relay while the stick is still held', async () => {
        const { robots, letGo } = await driving();
        for (const robot of robots) await until(() => atRest(robot), 1500, `${robot.deviceId} rests`);
        letGo();
    });

    it('a zero reaches the robots of the same relay though it cannot be sent on', async () => {
        const { robots: [near], website, letGo } = await driving();
        letGo();
        await until(() => atRest(near), 1500, 'rest');
        const from = near.history.length;
        assert.equal((await website.ask(move(0, { device_id: 'robot_01' }))).code, 'no_robot');
        await website.settled();
        assert.ok(atRest(near), JSON.stringify(near.all('robot_move', from)));
    });

    it('a website that connects is shown what is stopped', async () => {
        const robot = obedient(await cluster.robot(1, 'robot_01'));
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'stop' });
        await website.seen(state('robot_01', true, true));
        await cluster.killRedis();
        await website.seen({ type: 'relay_status', redis: false });
        const late = await cluster.website(1);
        await late.seen(state('robot_01', true, true));
        assert.equal(robot.stopped, true);
        await cluster.startRedis();
        await late.seen({ type: 'relay_status', redis: true }, 5000);
        await late.settled();
        assert.equal(late.count(state('robot_01', false)), 0); // never shown as free in between
        await late.ask({ type: 'rearm' });
        await late.seen(state('robot_01', false, true));
    });

    it('a Redis that has forgotten everything is told what old robots cannot say', async () => {
        const old = await cluster.robot(1, 'robot_09');
        const website = await cluster.website(2);
        await website.sees(['robot_09']);
        await website.ask({ type: 'stop' });
        await old.seen('stop');
        await cluster.killRedis();
        for (const name of fs.readdirSync(path.join(cluster.dir, 'redis'))) fs.rmSync(path.join(cluster.dir, 'redis', name), { recursive: true });
        await cluster.startRedis();
        await until(async () => (await (await cluster.redis()).call('SMEMBERS', 'tr:latched')).includes('robot_09'), 5000, 'it is latched again');
        await website.settled();
        assert.equal(website.all('stop_state').at(-1).stopped, true);
        await until(async () => (await website.ask({ type: 'rearm' })).robots === 1, 3000, 're-armed');
        await until(async () => (await website.ask(move(1))).robots === 1, 3000, 'it can be driven again');
    });

    it('a Stop just before the loss is noticed is shown, and is never shown as undone', async () => {
        const near = obedient(await cluster.robot(1, 'robot_01'));
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        cluster.redisProc.signal('SIGSTOP');
        website.send({ type: 'stop', id: 's' });
        await near.seen('stop');
        await website.seen({ type: 'relay_status', redis: false });
        await website.seen(state('robot_01', true, true));
        cluster.redisProc.signal('SIGCONT');
        await website.seen({ type: 'relay_status', redis: true }, 5000);
        await until(async () => (await (await cluster.redis()).call('SMEMBERS', 'tr:latched')).includes('robot_01'), 5000, 'latched');
        await website.settled();
        assert.equal(website.count({ type: 'stop_state', stopped: false }), 0);
        await website.ask({ type: 'rearm' });
        await website.seen(state('robot_01', false, true));
    });
});

describe('with Redis full', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    after(() => cluster.stop());

    it('Stop reaches every robot on every relay at once and is latched later; nothing moves meanwhile', async () => {
        const ids = ['robot_01', 'robot_02', 'robot_03', 'robot_04'];
        const robots = await Promise.all(ids.map(async (id, i) => obedient(await cluster.robot(1 + (i % 2), id))));
        const [website, other] = [await cluster.website(1), await cluster.website(2)];
        await website.sees(ids);
        await other.sees(ids);
        const redis = await cluster.redis();
        await redis.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
        await redis.call('CONFIG', 'SET', 'maxmemory', '1');
        const refused = await website.ask(move(1));
        assert.equal(refused.code, 'expired');
        assert.match(refused.error, /refused/);
        assert.equal((await website.ask({ type: 'stop', id: 's' })).robots, 4);
        for (const robot of robots) {
            await robot.seen('stop', 500);
            assert.equal(robot.count('robot_move'), 0);
        }
        await website.seen(state('robot_01', true, true)); // of its own relay; the others', Redis cannot say yet
        const leaver = await cluster.robot(2, 'robot_05');
        await leaver.leave(); // nothing of it can be written down
        await redis.call('CONFIG', 'SET', 'maxmemory', '0');
        for (const id of ids) for (const one of [website, other]) await one.seen(state(id, true, true), 5000);
        assert.equal((await redis.call('SMEMBERS', 'tr:latched')).length, 4);
        await website.settled();
        assert.equal(website.count({ type: 'stop_state', stopped: false }), 0);
        assert.equal((await website.ask(move(1))).code, 'stopped');
        await redis.call('CONFIG', 'SET', 'maxmemory', '1');
        await robots[3].leave(); // it is seen to have gone once that can be written
        await until(async () => (await redis.call('PUBSUB', 'NUMSUB', 'tr/cmd/robot_04'))[1] === 0, 3000, 'its relay has let it go');
        await website.settled();
        await redis.call('CONFIG', 'SET', 'maxmemory', '0');
        for (const one of [website, other]) await one.sees(ids.slice(0, 3), 4000);
        await website.ask({ type: 'rearm' });
        for (const id of ids.slice(0, 3)) await website.seen(state(id, false, true));
        assert.equal((await website.ask(move(1))).robots, 3);
        await cluster.clear();
    });

    it('what was stopped without Redis is not shown as free when that comes back full', async () => {
        const [mine, old] = [obedient(await cluster.robot(1, 'robot_01')), await cluster.robot(1, 'robot_02')];
        const [leaver, early] = [obedient(await cluster.robot(1, 'robot_03')), obedient(await cluster.robot(1, 'robot_04'))];
        const website = await cluster.website(1);
        await website.sees(['robot_01', 'robot_02', 'robot_03', 'robot_04']);
        const redis = await cluster.redis();
        await redis.call('CONFIG', 'SET', 'maxmemory', '1');
        cluster.redisProc.signal('SIGSTOP');
        await website.seen({ type: 'relay_status', redis: false });
        const from = website.history.length; // a re-arm of the test before may have been confirmed late
        await website.ask({ type: 'stop' });
        await website.seen(state('robot_01', true, true));
        await website.seen(state('robot_02', true, false));
        await website.seen(state('robot_03', true, true));
        await website.seen(state('robot_04', true, true));
        await early.leave();
        cluster.redisProc.signal('SIGCONT');
        await website.seen({ type: 'relay_status', redis: true }, 5000);
        await leaver.leave(); // the stop is still to be latched, and it is told when it comes back
        await pause(2500); // it is tried again each second
        await website.settled();
        assert.equal(website.count({ type: 'stop_state', stopped: false }, from), 0);
        await (await cluster.redis()).call('CONFIG', 'SET', 'maxmemory', '0');
        await until(async () => (await (await cluster.redis()).call('SMEMBERS', 'tr:latched')).includes('robot_02'), 5000, 'it is latched');
        await website.settled();
        assert.equal(website.count({ type: 'stop_state', stopped: false }, from), 0);
        assert.ok(mine.stopped && old.count('stop') > 0);
        await website.ask({ type: 'rearm' });
        await website.seen(state('robot_01', false, true), 5000);
        await cluster.clear();
    });

    it('a relay that starts then still works for Stop', async () => {
        const near = obedient(await cluster.robot(1, 'robot_01'));
        await (await cluster.website(1)).sees(['robot_01']);
        const redis = await cluster.redis();
        await redis.call('CONFIG', 'SET', 'maxmemory', '1');
        await cluster.killRelay(2);
        await cluster.startRelay(2); // it has Redis, and robots, though they cannot be entered
        const far = obedient(await cluster.robot(2, 'robot_02'));
        await until(async () => (await redis.call('PUBSUB', 'NUMSUB', 'tr/cmd/robot_02'))[1] === 1, 3000, 'it listens for its robot');
        const website = await cluster.website(2);
        assert.equal((await website.ask({ type: 'stop' })).type, 'ack');
        for (const robot of [near, far]) await robot.seen('stop', 500);
        await website.seen(state('robot_02', true, true));
        await redis.call('CONFIG', 'SET', 'maxmemory', '0');
        await until(async () => {
            const latched = await redis.call('SMEMBERS', 'tr:latched');
            return latched.includes('robot_01') && latched.includes('robot_02');
        }, 5000, 'both are latched');
        await website.settled();
        await website.ask({ type: 'rearm' });
        for (const id of ['robot_01', 'robot_02']) await website.seen(state(id, false, true), 5000);
    });
});

describe('a short loss of Redis', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--control', 'exclusive', '--control-ms', '5000'] });
    });
    after(() => cluster.stop());

    it('takes control from nobody', async () => {
        await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        assert.equal((await website.ask({ type: 'control_acquire', device_id: 'robot_01' })).type, 'ack');
        const alive = hold(website, { type: 'ping' });
        await cluster.killRedis();
        await website.seen({ type: 'relay_status', redis: false });
        await cluster.startRedis();
        await website.seen({ type: 'relay_status', redis: true }, 5000);
        await website.sees(['robot_01'], 5000);
        // Longer than the lease was: it has been renewed since.
        await pause(5500); // a lease later
        assert.equal((await until(async () => {
            const answer = await website.ask({ type: 'robot_move', x: 0, y: 1 });
            return answer.robots === 1 && answer;
        }, 3000, 'it still drives')).type, 'ack');
        assert.equal(website.all('control_state').at(-1).you, true);
        alive();
    });
});
