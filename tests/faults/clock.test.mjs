// Goal: a wall clock that jumps an hour, forwards or back, Redis', a relay's or the robot's, neither stops what is driven for
// long nor lets anything old through, and Stop and Re-arm keep their order.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Figures, ROOT, Rig, atRest, now, often, pause, temporaryDirectory, until } from './lib/rig.mjs';

const PROGRAMS = { Redis: 'redis-server', 'the relays': 'telerelay-wsd', 'the robot': 'telerelay-robot' };
const JUMPS = { Redis: often([1, -1], [1, 0, -1, 0]), 'the relays': often([1], [1, 0, -1, 0]), 'the robot': often([-1], [1, -1]) }; // hours

describe('a clock that jumps', () => {
    let rig;
    let dir;
    const figures = new Figures();
    const jump = (program, hours) => {
        const seconds = Buffer.alloc(8);
        seconds.writeBigInt64LE(BigInt(hours * 3600));
        // In place: the programs have it mapped.
        const fd = fs.openSync(path.join(dir, program), fs.constants.O_RDWR | fs.constants.O_CREAT);
        fs.writeSync(fd, seconds, 0, 8, 0);
        fs.closeSync(fd);
    };

    before(async () => {
        dir = temporaryDirectory();
        const library = path.join(dir, 'shift.so');
        execFileSync('gcc', ['-shared', '-fPIC', '-O2', '-D_GNU_SOURCE', '-o', library, path.join(ROOT, 'tests/faults/lib/shift.c')]);
        for (const program of Object.values(PROGRAMS)) jump(program, 0);
        Object.assign(process.env, { LD_PRELOAD: library, SHIFT_DIR: dir });
        rig = await Rig.start({ robots: 1 });
    });
    after(async () => {
        delete process.env.LD_PRELOAD;
        figures.print('From the jump until the robot follows again, or still');
        await rig.stop();
        fs.rmSync(dir, { recursive: true });
    });

    const redisHours = async () => ((await (await rig.cluster.redis()).call('TIME'))[0] - Date.now() / 1000) / 3600;

    for (const [whose, program] of Object.entries(PROGRAMS))
        for (const hours of JUMPS[whose])
            it(`${whose}: ${hours ? `${hours > 0 ? '+' : '−'}1 h` : 'right again'}`, async () => {
                await rig.driven();
                const [robot] = rig.robots;
                const from = now();
                jump(program, hours);
                if (program === 'redis-server') assert.ok(Math.abs(await redisHours() - hours) < 0.1);
                // Relays learn of Redis' clock within 1 s. If the robot rested meanwhile, what counts is what came after.
                await pause(program === 'redis-server' ? 1200 : 400);
                const rests = robot.trace.drive().filter((line) => line.t_ns > from && atRest(line));
                const since = rests.length ? rests.at(-1).t_ns : from;
                await until(() => robot.trace.executed(since).length > 5, 5000, 'the robot follows');
                figures.add(`${whose}, ${hours} h`, (robot.trace.executed(since)[0].t_ns - from) / 1e6);
                for (const ms of robot.trace.rests(from)) assert.ok(ms <= 350, `${ms}`);
                // Stop and re-arm, in this order.
                const website = await rig.cluster.website(1);
                website.send({ type: 'stop', device_id: robot.id });
                await website.seen({ type: 'stop_state', stopped: true, confirmed: true });
                assert.ok(atRest(robot.trace.drive().at(-1)));
                const stopped = now();
                assert.equal((await website.ask({ type: 'rearm', device_id: robot.id })).robots, 1);
                await website.seen({ type: 'stop_state', stopped: false, confirmed: true });
                await until(() => robot.trace.executed(stopped).length, 3000, 'the robot follows again');
                website.drop();
            });

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});
