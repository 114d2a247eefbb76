// Goal: Stop stops a moving robot while Redis is away; what is stopped stays so through restarts of relays, Redis and robot
// in every order, and through a loss of all that Redis knew; "confirmed" is never said before the robot itself has.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Figures, Rig, atRest, now, often, until } from './lib/rig.mjs';

describe('Stop', () => {
    let rig;
    let robot;
    const figures = new Figures();
    before(async () => {
        rig = await Rig.start({ robots: 1, wires: true, robotFlags: ['--spool', 'SPOOL'] });
        [robot] = rig.robots;
    });
    after(async () => {
        figures.print('From Stop at the website to the drive at zero');
        await rig.stop();
    });

    const redis = async (...words) => (await rig.cluster.redis()).call(...words);
    const state = (stopped, confirmed) => ({ type: 'stop_state', device_id: robot.id, stopped, confirmed });

    // The relay that has the robot, by what Redis knows.
    async function relayOfRobot() {
        const entry = await until(() => redis('HGET', 'tr:online', robot.id), 5000, `${robot.id} is online`);
        return Number(entry.at(-1));
    }

    // Re-armed, and driven again.
    async function free() {
        robot.stick.freeze();
        const website = await rig.cluster.website(1);
        await until(async () => (await website.ask({ type: 'rearm', device_id: robot.id })).robots === 1, 5000, 're-armed', 50);
        await website.seen({ type: 'stop_state', stopped: false, confirmed: true }, 3000);
        const from = now();
        assert.ok(atRest(robot.trace.drive().at(-1)), 're-arming moves nothing');
        website.drop();
        await rig.driven();
        assert.ok(robot.trace.executed(from).length > 0);
    }

    // Nothing moves it, and all who look are told that it is stopped, and by itself.
    async function isStopped(what) {
        for (const n of rig.relays) {
            const website = await rig.cluster.website(n);
            await website.seen(state(true, true), 5000).catch((error) => { throw new Error(`${what}: ${error.message}`); });
            assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 0.9, device_id: robot.id })).code, 'stopped', what);
            website.drop();
        }
        const from = now();
        for (let i = 0; i < 4; i++) {
            robot.stick.push();
            await until(() => now() > from + i * 30e6, 1000, 'pace');
        }
        assert.deepEqual(robot.trace.executed(from), [], what);
    }

    it('stops a robot that moves, from its own relay and from another', async () => {
        for (let round = 0; round < often(2, 50); round++) {
            await rig.driven();
            const n = await relayOfRobot();
            const [relay, kind] = round % 2 ? [n, 'same relay'] : [3 - n, 'another relay'];
            const website = await rig.cluster.website(relay);
            const at = now();
            website.send({ type: 'stop' });
            const rest = await until(() => robot.trace.drive().find((line) => line.t_ns > at && atRest(line)), 1000, 'rest');
            assert.equal(rest.cause, 'stop');
            figures.add(kind, (rest.t_ns - at) / 1e6);
            await website.seen(state(true, true));
            website.drop();
            await free();
        }
        assert.ok(Math.max(...figures.all) <= 150, `${figures.all}`);
    });

    it('stops a robot of the same relay that moves while Redis hangs; latched and confirmed when it is back', async () => {
        for (let round = 0; round < often(2, 10); round++) {
            await rig.driven();
            const n = await relayOfRobot();
            const website = await rig.cluster.website(n);
            const other = await rig.cluster.website(3 - n);
            const noticed = round % 2 === 1; // whether the relay knows already that Redis is away
            rig.cluster.redisProc.signal('SIGSTOP');
            try {
                if (noticed) await website.seen({ type: 'relay_status', redis: false });
                const at = now();
                website.send({ type: 'stop', device_id: robot.id });
                if (!noticed) {
                    const rest = await until(() => robot.trace.drive().find((line) => line.t_ns > at && atRest(line)), 1000, 'rest');
                    assert.equal(rest.cause, 'stop');
                    figures.add('same relay, Redis hangs', (rest.t_ns - at) / 1e6);
                    assert.ok((rest.t_ns - at) / 1e6 <= 150);
                }
                await website.seen(({ type }) => type === 'ack' || type === 'error', 3000, 0);
                assert.equal(other.count(state(true, true)), 0, 'the other relay cannot know');
                const refused = await website.ask({ type: 'rearm', device_id: robot.id });
                assert.equal(refused.type, 'error', JSON.stringify(refused));
            } finally {
                rig.cluster.redisProc.signal('SIGCONT');
            }
            await other.seen(state(true, true), 5000);
            await isStopped('after Redis came back');
            for (const one of [website, other]) one.drop();
            await free();
        }
    });

    const restarts = {
        relays: async () => {
            for (const n of rig.relays) await rig.cluster.killRelay(n);
            for (const n of rig.relays) await rig.cluster.startRelay(n);
        },
        Redis: async () => {
            await rig.cluster.killRedis();
            await rig.cluster.startRedis();
        },
        robot: async () => {
            await robot.proc.kill();
            await rig.startRobot(robot);
        },
    };
    const orders = [['robot', 'Redis', 'relays'], ['relays', 'robot', 'Redis'], ['Redis', 'relays', 'robot'],
        ['robot', 'relays', 'Redis'], ['relays', 'Redis', 'robot'], ['Redis', 'robot', 'relays']];

    for (const order of orders.slice(0, often(2, 6)))
        it(`outlives kills of ${order.join(', ')}`, async () => {
            await rig.driven();
            const website = await rig.website();
            website.send({ type: 'stop', device_id: robot.id });
            await website.seen(state(true, true));
            for (const part of order) await restarts[part]();
            await isStopped(`after kills of ${order.join(', ')}`);
            website.drop();
            await free();
        });

    it('outlives all three at once, and a Redis that forgot everything', async () => {
        await rig.driven();
        const website = await rig.website();
        website.send({ type: 'stop', device_id: robot.id });
        await website.seen(state(true, true));
        website.drop();
        await robot.proc.kill();
        await redis('FLUSHALL');
        for (const n of rig.relays) await rig.cluster.killRelay(n);
        await rig.cluster.killRedis();
        await rig.cluster.startRedis();
        for (const n of rig.relays) await rig.cluster.startRelay(n);
        await rig.startRobot(robot);
        await isStopped('after Redis forgot everything');
        await free();
    });

    it('is not said to be confirmed before the robot has said so', async () => {
        await rig.driven();
        const website = await rig.website();
        // It hears nothing and says nothing.
        robot.wire.hold();
        website.send({ type: 'stop', device_id: robot.id });
        await website.seen(state(true, false));
        await until(() => atRest(robot.trace.drive().at(-1)), 1000, 'rest');
        await website.settled();
        assert.equal(website.count(state(true, true)), 0);
        robot.wire.release();
        await website.seen(state(true, true), 5000);
        await free();
        // It hears, and stops, but nobody knows.
        const from = website.history.length;
        robot.wire.hold('from');
        website.send({ type: 'stop', device_id: robot.id });
        await until(() => robot.trace.drive().at(-1).cause === 'stop', 1000, 'stopped');
        await website.seen(state(true, false), 3000, from);
        await website.settled();
        assert.equal(website.count(state(true, true), from), 0);
        robot.wire.release();
        await website.seen(state(true, true), 5000, from);
        // It is not even there.
        await free();
        await robot.proc.terminate();
        const gone = website.history.length;
        website.send({ type: 'stop', device_id: robot.id });
        await website.seen(state(true, false), 3000, gone);
        await website.settled();
        assert.equal(website.count(state(true, true), gone), 0);
        await rig.startRobot(robot);
        await website.seen(state(true, true), 5000, gone);
        await isStopped('after it was stopped while it was away');
        website.drop();
        await free();
    });

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});
