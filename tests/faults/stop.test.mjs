// Goal: Stop stops a moving robot while Redis is away; what is stopped stays so through restarts of relays, Redis and robot
// in every order, and through a loss of all that Redis knew; "confirmed" is never said before the robot itself has. While
// Redis is full it stops every robot on every relay all the same, and is latched once Redis takes writes again.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Figures, Rig, atRest, now, often, pause, until } from './lib/rig.mjs';

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
            await rig.cluster.relayReady(n); // until it has Redis it refuses motions for that
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

describe('Stop of all while Redis refuses writes', () => {
    let rig;
    const rested = new Figures();
    const latched = new Figures();
    before(async () => {
        rig = await Rig.start({ robots: often(4, 8), robotFlags: ['--spool', 'SPOOL'] });
        for (const n of rig.relays) assert.ok((await rig.robotsOn(n)).length > 0, `wsd-${n} has robots`);
    });
    after(async () => {
        rested.print('From Stop while Redis is full to the drive at zero');
        latched.print('From the first write until all is latched and told');
        await rig.stop();
    });

    const redis = async (...words) => (await rig.cluster.redis()).call(...words);
    const onDisk = ({ spool }) => JSON.parse(fs.readFileSync(path.join(spool, 'stop.json'), 'utf8')).stopped;
    const state = (stopped) => (robot) => ({ type: 'stop_state', device_id: robot.id, stopped, confirmed: true });
    const told = (websites, stopped, from) => Promise.all(rig.robots.map(state(stopped)).flatMap((one) => websites.map((website, i) => website.seen(one, 3000, from[i]))));

    // Redis is full, all sticks are held, and `ms` later a website at relay n stops all; at(said) looks at the robots.
    async function stopAll(n, ms, at) {
        await rig.driven();
        const websites = [await rig.cluster.website(n), await rig.cluster.website(3 - n)];
        for (const website of websites) await website.sees(rig.robots.map(({ id }) => id));
        await rig.fill();
        const full = now();
        try {
            await pause(ms);
            const said = now();
            websites[0].send({ type: 'stop', id: 's' });
            await Promise.all(rig.robots.map((robot) => until(() => onDisk(robot), 500, `${robot.id} is stopped`)));
            for (const robot of rig.robots) at(robot, said);
            await pause(500);
        } finally {
            await rig.unfill();
        }
        const free = performance.now();
        await until(async () => (await redis('SCARD', 'tr:latched')) === rig.robots.length, 3000, 'all are latched');
        await told(websites, true, [0, 0]);
        latched.add(`stopped ${ms} ms after it was full`, performance.now() - free);
        await pause(300);
        for (const website of websites) assert.equal((await website.settled()).count({ type: 'stop_state', stopped: false }), 0);
        for (const { id, stick, trace } of rig.robots)
            assert.deepEqual(trace.executed(full).filter(({ left }) => stick.sent.get(left).at > full), [], `${id} did what was sent while Redis was full, or after`);
        for (const { stick } of rig.robots) stick.freeze();
        const from = websites.map((website) => website.history.length);
        assert.equal((await websites[1].ask({ type: 'rearm' })).robots, rig.robots.length);
        await told(websites, false, from);
        for (const website of websites) website.drop();
    }

    for (const n of [1, 2])
        it(`said at relay ${n}: every robot on both is at rest at once, and latched when Redis is back`, async () => {
            for (let round = 0; round < often(1, 10); round++)
                await stopAll(n, 0, ({ id, trace }, said) => {
                    const rest = trace.drive().find((line) => line.t_ns > said && atRest(line));
                    assert.equal(rest.cause, 'stop', id);
                    rested.add(`said at relay ${n}`, (rest.t_ns - said) / 1e6);
                });
            assert.ok(Math.max(...rested.all) <= 150, `${rested.all}`);
        });

    it('robots that rest already are stopped as well', async () => {
        for (let round = 0; round < often(1, 10); round++)
            await stopAll(1 + (round % 2), often(1000, 5000), ({ id, trace }) => assert.ok(atRest(trace.drive().at(-1)), id));
    });

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});
