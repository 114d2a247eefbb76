// Goal: with exclusive control one website drives a robot at a time, whichever relay it is on: granted, refused, taken,
// released, ended by silence; each grant has a higher epoch that the robot's commands carry.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, until } from './lib/harness.mjs';

const acquire = (more = {}) => ({ type: 'control_acquire', device_id: 'robot_01', ...more });
const release = { type: 'control_release', device_id: 'robot_01' };
const move = (y, more = {}) => ({ type: 'robot_move', x: 0, y, ...more });
const alive = (website) => {
    const timer = setInterval(() => website.open && website.send({ type: 'ping' }), 400);
    website.ws.on('close', () => clearInterval(timer));
    return () => clearInterval(timer);
};

describe('exclusive control', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--control', 'exclusive', '--website-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    const three = async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const a = await cluster.website(1);
        const b = await cluster.website(2);
        for (const one of [a, b]) {
            await one.sees(['robot_01']);
            const first = await one.seen('control_state');
            assert.deepEqual({ ...first, epoch: 0 }, { type: 'control_state', device_id: 'robot_01', holder: null, you: false, epoch: 0 });
        }
        return { robot, a, b };
    };

    it('is granted to one, refused to others, and only the holder moves the robot', async () => {
        const { robot, a, b } = await three();
        assert.equal((await a.ask(move(1))).code, 'not_in_control');
        const granted = await a.ask(acquire({ id: 'g' }));
        assert.equal(granted.type, 'ack');
        assert.equal(granted.id, 'g');
        const stop = alive(a);
        const mine = await a.seen({ type: 'control_state', you: true });
        const theirs = await b.seen({ type: 'control_state', holder: mine.holder, you: false });
        assert.equal(theirs.epoch, mine.epoch);
        await robot.seen({ type: 'robot_move', x: 0, y: 0, epoch: mine.epoch }); // stopped first
        await robot.seen({ type: 'camera_move', x: 0, y: 0, epoch: mine.epoch });
        const refused = await b.ask(acquire());
        assert.equal(refused.code, 'not_in_control');
        assert.ok(refused.error.includes(mine.holder), refused.error);
        assert.equal((await b.ask(move(1))).code, 'not_in_control');
        assert.equal((await b.ask(move(1, { device_id: 'robot_01' }))).code, 'not_in_control');
        assert.equal((await b.ask({ type: 'set_speed', value: 9 })).code, 'not_in_control');
        assert.equal((await a.ask(move(0.5))).robots, 1);
        assert.equal((await robot.seen({ y: 0.5 })).epoch, mine.epoch);
        assert.equal((await b.ask({ type: 'stop' })).robots, 1); // anyone may stop
        await b.ask({ type: 'rearm' });
        stop();
    });

    it('is taken: the robot is stopped first, and the old holder is out', async () => {
        const { robot, a, b } = await three();
        await a.ask(acquire());
        const { epoch } = await a.seen({ type: 'control_state', you: true });
        await a.ask(move(0.5));
        await b.ask(acquire({ take: true }));
        const taken = await b.seen({ type: 'control_state', you: true });
        assert.ok(taken.epoch > epoch);
        await a.seen({ type: 'control_state', you: false, holder: taken.holder });
        assert.equal((await a.ask(move(0.6))).code, 'not_in_control');
        await b.ask(move(0.7));
        await robot.seen({ y: 0.7 });
        const moves = robot.all('robot_move').map((m) => [m.y, m.epoch]);
        assert.deepEqual(moves, [[0, epoch], [0.5, epoch], [0, taken.epoch], [0.7, taken.epoch]]);
    });

    it('is released, or ends with the connection, at once', async () => {
        const { a, b } = await three();
        await a.ask(acquire());
        await b.seen((m) => m.holder);
        assert.equal((await b.ask(release)).code, 'not_in_control');
        assert.equal((await a.ask(release)).message, 'Control released');
        await b.seen({ type: 'control_state', holder: null }, 1000, b.history.findIndex((e) => e.message.holder));
        assert.equal((await b.ask(acquire())).type, 'ack');
        await a.seen((m) => m.holder && !m.you);
        const from = a.history.length;
        b.drop();
        await a.seen({ type: 'control_state', holder: null }, 1000, from);
        assert.equal((await a.ask(acquire())).type, 'ack');
        assert.equal((await a.ask(acquire())).type, 'ack'); // once more: still its
    });

    it('ends 2 s after the last message of its holder, not before', async () => {
        const { a, b } = await three();
        await a.ask(acquire());
        const stop = alive(a);
        const { at } = { at: performance.now() };
        await until(() => performance.now() - at > 3000, 4000, 'three seconds of pings');
        assert.equal((await b.ask(acquire())).code, 'not_in_control');
        stop();
        const silent = performance.now();
        await b.seen({ type: 'control_state', holder: null }, 4000, b.history.findIndex((e) => e.message.holder));
        const took = b.history.findLast((e) => e.message.type === 'control_state').at - silent;
        assert.ok(took > 1400 && took < 2400, `${took} ms`); // the last ping was up to 400 ms before
    });

    it('ends when the relay of its holder is killed', async () => {
        const { a, b } = await three();
        await a.ask(acquire());
        await b.seen((m) => m.type === 'control_state' && m.holder !== null);
        await cluster.relay(1).kill();
        await b.seen({ type: 'control_state', holder: null }, 5000, b.history.findIndex((e) => e.message.holder));
        await cluster.startRelay(1);
        assert.equal((await b.ask(acquire())).type, 'ack');
    });
});

describe('shared control', () => {
    it('has no leases: asking for one says so, and no state is told', async () => {
        const cluster = await Cluster.start({ relays: 1 });
        try {
            await cluster.robot(1, 'robot_01');
            const website = await cluster.website(1);
            await website.sees(['robot_01']);
            assert.equal((await website.ask(acquire())).code, 'not_allowed');
            assert.equal((await website.ask(release)).code, 'not_allowed');
            await website.settled();
            assert.equal(website.count('control_state'), 0);
        } finally {
            await cluster.stop();
        }
    });
});
