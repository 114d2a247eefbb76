// Goal: websites know within 750 ms that Redis is gone, however it goes, and all works again within 1 s of its return.
// The robots of a relay that is killed are driven again through another one within 2 s. A robot that is killed moves
// nothing when it comes back.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Figures, Rig, atRest, now, often, until } from './lib/rig.mjs';

describe('Redis', () => {
    let rig;
    const noticed = new Figures();
    const back = new Figures();
    before(async () => { rig = await Rig.start({ robots: 2 }); });
    after(async () => {
        noticed.print('From the loss of Redis until all websites are told');
        back.print('From its return until all robots follow again');
        await rig.stop();
    });

    const redis = async (...words) => (await rig.cluster.redis()).call(...words);
    const ways = {
        killed: { away: () => rig.cluster.killRedis(), back: () => rig.cluster.startRedis() },
        stopped: { away: () => rig.cluster.redisProc.signal('SIGSTOP'), back: () => rig.cluster.redisProc.signal('SIGCONT') },
        'paused for writing': { away: () => redis('CLIENT', 'PAUSE', '5000', 'WRITE'), back: () => redis('CLIENT', 'UNPAUSE') },
        'refuses to publish': { away: () => redis('ACL', 'SETUSER', 'default', '-publish'), back: () => redis('ACL', 'SETUSER', 'default', '+publish') },
    };

    for (const [way, { away, back: mend }] of Object.entries(ways))
        it(`${way}: noticed within 750 ms, everything works 1 s after its return`, async () => {
            for (let round = 0; round < often(1, 8); round++) {
                await rig.driven();
                const websites = [await rig.cluster.website(1), await rig.cluster.website(2), ...rig.robots.map(({ stick }) => stick.website)];
                const told = (redis_up, from) => Promise.all(websites.map((website, i) => website.seen({ type: 'relay_status', redis: redis_up }, 3000, from[i])));
                const from = websites.map((website) => website.history.length);
                const gone = performance.now();
                await away();
                await told(false, from).catch(async (error) => {
                    await mend();
                    throw error;
                });
                noticed.add(`Redis ${way}`, performance.now() - gone);
                const again = websites.map((website) => website.history.length);
                await mend();
                const returned = now();
                await Promise.all(rig.robots.map(async ({ id, trace }) => {
                    await until(() => trace.executed(returned).length, 5000, `${id} follows again`);
                    back.add(`Redis ${way}`, (trace.executed(returned)[0].t_ns - returned) / 1e6);
                }));
                await told(true, again);
                websites.slice(0, 2).forEach((website) => website.drop());
            }
            assert.ok(Math.max(...noticed.of(`Redis ${way}`)) <= 750, `${noticed.of(`Redis ${way}`)}`);
            assert.ok(Math.max(...back.of(`Redis ${way}`)) <= 1000, `${back.of(`Redis ${way}`)}`);
        });

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});

describe('a relay', () => {
    let rig;
    const back = new Figures();
    before(async () => { rig = await Rig.start({ robots: often(2, 8) }); });
    after(async () => {
        back.print('From the loss of a relay until its robots follow through another');
        await rig.stop();
    });

    // Ends a relay that has robots, with all sticks held at the other one.
    async function lose(kind, end, mend) {
        // Anew: a robot that lost its relay a moment ago waits longer than one that had a steady link.
        await Promise.all(rig.robots.map(async (robot) => {
            await robot.proc.terminate();
            await rig.startRobot(robot);
        }));
        await rig.driven();
        const on = await Promise.all(rig.relays.map((one) => rig.robotsOn(one)));
        const n = on[0].length > 0 ? 1 : 2;
        for (const { stick } of rig.robots) stick.take(await rig.cluster.website(3 - n));
        await rig.driven();
        const lost = now();
        await end(n);
        try {
            await Promise.all(on[n - 1].map(async ({ id, trace }) => {
                const rest = await until(() => atRest(trace.drive().at(-1)) && trace.drive().at(-1), 1000, `${id} rests`);
                await until(() => trace.executed(rest.t_ns).length, 20000, `${id} follows again`);
                back.add(kind, (trace.executed(rest.t_ns)[0].t_ns - lost) / 1e6);
            }));
        } finally {
            await mend(n);
        }
        return n;
    }

    it('killed: its robots follow through another within 2 s', async () => {
        for (let round = 0; round < often(1, 8); round++) await lose('relay killed', (n) => rig.cluster.killRelay(n), (n) => rig.cluster.startRelay(n));
        const took = back.of('relay killed');
        assert.ok(Math.max(...took) <= 2000, `${took}`);
    });

    it('a robot that is killed while it moves comes back at rest, and moves only when told anew', async () => {
        await rig.driven();
        for (const { stick } of rig.robots) stick.freeze();
        await until(() => rig.robots.every(({ trace }) => atRest(trace.drive().at(-1))), 2000, 'rest');
        for (const robot of rig.robots) {
            robot.stick.hold();
            const from = now();
            await until(() => robot.trace.executed(from).length, 3000, `${robot.id} moves`);
            robot.stick.push();
            await robot.proc.kill();
            robot.stick.freeze();
            const killed = now();
            const before = robot.proc.log().length;
            await rig.startRobot(robot);
            await until(() => /event=connected/.test(robot.proc.log().slice(before)), 5000, `${robot.id} connected`);
            assert.deepEqual(robot.trace.drive().filter((line) => line.t_ns > killed).map(({ cause, left }) => [cause, left]), [['start', 0]]);
        }
        await rig.driven();
    });

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});
