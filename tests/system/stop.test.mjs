// Goal: anyone can stop a robot, on any relay, with Redis or (on the same relay) without; it stays stopped through the
// end of everything until somebody re-arms it; and what is shown is what the robot itself has said.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, Redis, assertRecent, obedient, until } from './lib/harness.mjs';

const state = (device_id, stopped, confirmed) => ({ type: 'stop_state', device_id, stopped, confirmed });
const isMove = (m) => m.type === 'robot_move' || m.type === 'camera_move';

describe('stop and re-arm', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    afterEach(async () => {
        await cluster.clear();
        await (await cluster.website(1)).ask({ type: 'rearm' });
        await cluster.clear();
    });
    after(() => cluster.stop());

    for (const [name, at] of [['the same relay', 1], ['another relay', 2]]) {
        it(`stops a robot on ${name}: told, latched, confirmed, receipt`, async () => {
            const robot = obedient(await cluster.robot(at, 'robot_01'));
            const website = await cluster.website(1);
            const other = await cluster.website(2);
            await website.sees(['robot_01']);
            await other.sees(['robot_01']);
            const { timestamp, ...ack } = await website.ask({ type: 'stop', device_id: 'robot_01', id: 's-1' });
            assertRecent(timestamp);
            assert.deepEqual(ack, { type: 'ack', original_type: 'stop', id: 's-1', status: 'received', message: 'Command received: Stop', robots: 1 });
            const order = await robot.seen('stop');
            assert.equal(order.id, 's-1');
            assert.match(order.by, /^guest-[0-9a-f]{6}$/);
            for (const peer of [website, other]) {
                await peer.seen(state('robot_01', true, false));
                const told = await peer.seen(state('robot_01', true, true));
                assertRecent(told.timestamp);
                assert.equal(told.by, order.by);
            }
            assert.equal((await website.seen({ id: 's-1', status: 'applied' })).device_id, 'robot_01');
            const refused = await website.ask({ type: 'robot_move', x: 0, y: 1, id: 'm-1' });
            assert.equal(refused.code, 'stopped');
            assert.equal((await other.ask({ type: 'robot_move', x: 0, y: 0 })).code, 'stopped');
            assert.equal((await website.ask({ type: 'set_speed', value: 40 })).robots, 1);
            await robot.seen('set_speed'); // a re-arm would overtake it
            const { message } = await other.ask({ type: 'rearm', device_id: 'robot_01' });
            assert.equal(message, 'Command received: Re-arm');
            await website.seen(state('robot_01', false, true));
            assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 1, id: 'm-1' })).robots, 1);
            await robot.seen('robot_move');
            assert.deepEqual(robot.commands().map((m) => m.type), ['stop', 'set_speed', 'rearm', 'robot_move']);
        });
    }

    it('without device_id stops every robot that is known, also one that is offline', async () => {
        const one = obedient(await cluster.robot(1, 'robot_01'));
        const two = obedient(await cluster.robot(2, 'robot_02'));
        const gone = await cluster.robot(2, 'robot_03');
        const website = await cluster.website(1);
        await website.sees(['robot_01', 'robot_02', 'robot_03']);
        await gone.leave();
        await website.sees(['robot_01', 'robot_02']);
        assert.equal((await website.ask({ type: 'stop' })).robots, 2);
        await one.seen('stop');
        await two.seen('stop');
        await website.seen(state('robot_03', true, false));
        const back = obedient(await cluster.robot(1, 'robot_03'));
        await back.seen('stop');
        await website.seen(state('robot_03', true, true));
        const late = await cluster.website(2);
        for (const id of ['robot_01', 'robot_02', 'robot_03']) await late.seen(state(id, true, true));
        assert.equal((await website.ask({ type: 'rearm' })).robots, 3);
        for (const id of ['robot_01', 'robot_02', 'robot_03'])
            for (const one of [website, late]) await one.seen(state(id, false, true));
        const later = await (await cluster.website(1)).settled();
        assert.equal(later.count('stop_state'), 0);
    });

    it('an unknown robot leaves no trace', async () => {
        const website = await cluster.website(1);
        for (const type of ['stop', 'rearm']) assert.equal((await website.ask({ type, device_id: 'nobody' })).code, 'no_robot');
        assert.deepEqual(await (await cluster.redis()).call('KEYS', 'tr:*nobody*'), []);
    });

    it('an old robot gets zero moves behind the stop, no motion after it, and is never called confirmed', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'robot_move', x: 0, y: 1 });
        await website.ask({ type: 'stop' });
        await robot.seen('stop');
        await robot.seen({ type: 'robot_move', x: 0, y: 0 });
        await robot.seen({ type: 'camera_move', x: 0, y: 0 });
        assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 1 })).code, 'stopped');
        await website.settled();
        assert.equal(website.count({ confirmed: true }), 0);
    });

    it('is latched again for a robot that says it is not stopped, and by one that says it is', async () => {
        const website = await cluster.website(1);
        const robot = obedient(await cluster.robot(2, 'robot_01'));
        await website.sees(['robot_01']);
        await website.ask({ type: 'stop', device_id: 'robot_01' });
        await website.seen(state('robot_01', true, true));
        const from = robot.history.length;
        robot.send({ type: 'stop_state', stopped: false }); // it lost its disk
        await robot.seen('stop', 3000, from);
        const pressed = obedient(await cluster.robot(1, 'robot_02'));
        pressed.send({ type: 'stop_state', stopped: true, by: 'hardware' }); // somebody hit its own button
        const told = await website.seen(state('robot_02', true, true));
        assert.equal(told.by, 'hardware');
        assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 1, device_id: 'robot_02' })).code, 'stopped');
        await website.ask({ type: 'rearm', device_id: 'robot_02' });
        await pressed.seen('rearm');
        await website.seen(state('robot_02', false, true));
    });

    it('is not limited by what else the website sends', async () => {
        const robot = obedient(await cluster.robot(2, 'robot_01'));
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        for (let i = 0; i < 250; i++) website.send({ type: 'robot_move', x: 0, y: 0.5 });
        website.send({ type: 'stop', id: 's' });
        await robot.seen('stop');
        await website.seen({ code: 'rate_limited' });
        assert.equal((await website.seen({ id: 's', status: 'received' })).robots, 1);
        const at = robot.history.findIndex((entry) => entry.message.type === 'stop');
        assert.deepEqual(robot.all(isMove, at), []);
    });
});

describe('stop through outages', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    after(() => cluster.stop());

    it('stops robots of the same relay while Redis is away, and the others when it is back', async () => {
        const near = obedient(await cluster.robot(1, 'robot_01'));
        const far = obedient(await cluster.robot(2, 'robot_02'));
        const website = await cluster.website(1);
        await website.sees(['robot_01', 'robot_02']);
        await cluster.killRedis();
        await website.seen({ type: 'relay_status', redis: false });
        const pressed = performance.now();
        assert.equal((await website.ask({ type: 'stop' })).robots, 1);
        await near.seen('stop');
        assert.ok(near.history.find((e) => e.message.type === 'stop').at - pressed < 200);
        await website.seen(state('robot_01', true, true));
        assert.equal((await website.ask({ type: 'rearm' })).type, 'error');
        assert.equal(far.count('stop'), 0);
        await cluster.startRedis();
        await far.seen('stop', 5000);
        await website.seen(state('robot_02', true, true), 5000);
        assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 1 })).code, 'stopped');
        assert.equal(near.stopped, true);
        // through the end of a relay, of Redis, and of a robot
        await cluster.relay(2).kill();
        await cluster.startRelay(2);
        await cluster.killRedis();
        await cluster.startRedis();
        await until(async () => (await (await cluster.redis()).call('SMEMBERS', 'tr:latched')).length === 2, 5000, 'latched in Redis');
        near.drop();
        const again = obedient(await cluster.robot(2, 'robot_01'));
        await again.seen('stop', 5000);
        const late = await cluster.website(2);
        await late.seen(state('robot_01', true, true), 5000);
        await late.ask({ type: 'rearm' });
        await late.seen(state('robot_01', false, true), 5000);
        await again.seen('rearm');
    });

    it('a relay that kept a stop for a robot that has gone elsewhere, and was re-armed there, shows it as free', async () => {
        await cluster.relayReady(1); // or the stop would be latched later, and again
        obedient(await cluster.robot(1, 'robot_03'));
        const [website, other] = [await cluster.website(1), await cluster.website(2)];
        await website.ask({ type: 'stop', device_id: 'robot_03' });
        await website.seen(state('robot_03', true, true));
        cluster.relay(1).signal('SIGSTOP');
        try { // what is published meanwhile never gets to it
            const redis = await cluster.redis();
            for (const type of ['pubsub', 'normal']) await redis.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
            await other.seen({ type: 'relay_status', redis: true }, 5000);
            const robot = obedient(await cluster.robot(2, 'robot_03'));
            await robot.seen('stop');
            await other.ask({ type: 'rearm', device_id: 'robot_03' });
            await other.seen(state('robot_03', false, true));
        } finally {
            cluster.relay(1).signal('SIGCONT');
        }
        await website.seen({ type: 'relay_status', redis: true }, 5000);
        await website.seen(state('robot_03', false, false), 5000);
        const late = await (await cluster.website(1)).settled();
        assert.equal(late.count(state('robot_03', true)), 0);
    });

    it('two stops that relays gave the same number are two: each has its receipt', async () => {
        await cluster.relayReady(1);
        const website = await cluster.website(1);
        await cluster.killRedis();
        await website.seen({ type: 'relay_status', redis: false });
        const robot = obedient(await cluster.robot(1, 'robot_04')); // not known yet, so what waited is not ordered when Redis is back
        await website.ask({ type: 'stop', device_id: 'robot_04', id: 's-1' });
        const { seq } = await robot.seen('stop');
        await cluster.startRedis();
        const redis = await cluster.redis();
        await until(async () => (await redis.call('SMEMBERS', 'tr:latched')).includes('robot_04'), 5000, 'the robot has said so');
        const far = await Redis.open(cluster.redisPath); // a relay whose website pressed Stop in the same millisecond
        const heard = [];
        far.onpush = ([, , text]) => heard.push(String(text));
        await far.call('SUBSCRIBE', 'tr/relay/wsd-9#0');
        const order = JSON.stringify({ type: 'stop', id: 's-2', by: 'far', seq });
        assert.equal(await redis.call('PUBLISH', 'tr/cmd/robot_04', `0 stop ${seq} wsd-9#0/7/1 3 s-2 ${order}`), 1);
        await until(() => heard.some((text) => text.startsWith('receipt 7 1 ') && text.includes('"applied"')), 3000, 'its receipt');
        far.close();
    });
});
