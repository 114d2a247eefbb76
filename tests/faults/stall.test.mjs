// Goal: a connection that stalls and then delivers hundreds of moves at once, between relay and robot or between website
// and nginx, moves nothing: the robot does none of them, and the sender of each is told what became of it.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { LONG, Rig, detail, often, now, pause, until } from './lib/rig.mjs';

describe('a stall', () => {
    let rig;
    before(async () => { rig = await Rig.start({ robots: 2, wires: true, stick: { ids: true, hz: 85 } }); });
    after(async () => {
        rig.figures.print('From the last command done to the drive at zero');
        await rig.stop();
    });

    // Holds everything for `seconds`; gives, per robot, what became of the moves that were sent meanwhile.
    async function stall(wires, seconds) {
        await rig.driven();
        const from = now();
        for (const wire of wires) wire.hold();
        await pause(seconds * 1000);
        for (const { stick } of rig.robots) stick.freeze();
        const held = wires.map((wire) => wire.waiting());
        // What was sent last may be in a relay's hands when the stall ends: it is not late.
        const to = now() - 100e6;
        for (const wire of wires) wire.release();
        const fates = [];
        for (const { id, stick, trace } of rig.robots) {
            const ids = stick.idsBetween(from, to);
            const reachable = seconds < 4 || wires[0] !== rig.websiteWire;
            if (reachable) await until(() => ids.every((one) => stick.fate.has(one)), 5000, `an answer to each of ${ids.length} moves`).catch((error) => {
                throw new Error(`${error.message}: ${ids.filter((one) => !stick.fate.has(one)).length} have none`);
            });
            const fate = {};
            for (const one of ids) fate[stick.fate.get(one) ?? 'none'] = (fate[stick.fate.get(one) ?? 'none'] ?? 0) + 1;
            detail(`${seconds} s, ${held.join(' + ')} bytes held; ${ids.length} moves of ${id}: ${JSON.stringify(fate)}`);
            assert.ok(ids.length >= 50 * seconds, `${ids.length} moves were sent`);
            for (const line of trace.executed(from)) {
                const sent = stick.sent.get(line.left);
                assert.ok(sent.at < from || sent.at > to, `${id} did ${JSON.stringify(line)}, sent ${(line.t_ns - sent.at) / 1e6} ms before, within the stall`);
            }
            assert.equal(fate.applied ?? 0, 0);
            fates.push(fate);
        }
        return fates;
    }

    const toRobots = (seconds) => stall(rig.robots.map(({ wire }) => wire), seconds);

    // Shorter than it takes robot and relay to give each other up: all of it is delivered. One website knows heartbeats, one does not.
    it('of 1.8 s between relay and robot: everything arrives, nothing is done', async () => {
        rig.robots[1].stick.useHb = false;
        try {
            for (let round = 0; round < often(1, 5); round++)
                for (const fate of await toRobots(1.8)) assert.ok(fate['expired hb'] >= 80, JSON.stringify(fate));
        } finally {
            rig.robots[1].stick.useHb = true;
        }
    });

    for (const seconds of often([3], [3, 30])) {
        it(`of ${seconds} s between website and nginx`, () => stall([rig.websiteWire], seconds));

        if (LONG) it(`of ${seconds} s between relay and robot`, () => toRobots(seconds));
    }

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});
