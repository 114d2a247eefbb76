// Goal: a connection that stalls and then delivers hundreds of moves at once, between relay and robot or between website
// and nginx, moves nothing: the robot does none of them, the sender of each is told what became of it, at most 250 ms
// after that can be known, and each is counted.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Figures, LONG, Rig, counted, detail, often, now, pause, until } from './lib/rig.mjs';

const sum = (words) => {
    const times = {};
    for (const word of words) times[word] = (times[word] ?? 0) + 1;
    return times;
};

describe('a stall', () => {
    let rig;
    const known = new Figures();
    before(async () => { rig = await Rig.start({ robots: 2, wires: true, stick: { ids: true, hz: 85 } }); });
    after(async () => {
        known.print('From the end of the stall until the sender knows of a move');
        await rig.stop();
    });

    // Holds everything for `seconds`; gives, per robot, what became of the moves that were sent meanwhile.
    async function stall(kind, wires, seconds) {
        await rig.driven();
        const from = now();
        for (const wire of wires) wire.hold();
        await pause(seconds * 1000);
        for (const { stick } of rig.robots) stick.freeze();
        const held = wires.map((wire) => wire.waiting());
        // What was sent last may be in a relay's hands when the stall ends: it is not late.
        const to = now() - 100e6;
        const end = now();
        for (const wire of wires) wire.release();
        const fates = [];
        for (const { id, stick, trace } of rig.robots) {
            const ids = stick.idsBetween(from, to);
            const reachable = seconds < 4 || wires[0] !== rig.websiteWire;
            if (reachable) await until(() => ids.every((one) => stick.fate.has(one)), 5000, `an answer to each of ${ids.length} moves`).catch((error) => {
                throw new Error(`${error.message}: ${ids.filter((one) => !stick.fate.has(one)).length} have none`);
            });
            const fate = sum(ids.map((one) => stick.fate.get(one) ?? 'none'));
            for (const one of ids) if (stick.answered.get(one) > end) known.add(kind, (stick.answered.get(one) - end) / 1e6);
            detail(`${kind}, ${held.join(' + ')} bytes held; ${ids.length} moves of ${id}: ${JSON.stringify(fate)}`);
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

    const toRobots = (seconds) => stall(`${seconds} s between relay and robot`, rig.robots.map(({ wire }) => wire), seconds);

    // What a sender is told, and where the relays count it.
    const COUNTERS = {
        'expired hb': 'commands_stale_total', 'rejected old': 'commands_rejected_total', applied: 'commands_applied_total',
        'rejected superseded': 'commands_replaced_total', 'expired late': 'commands_expired_total', rate_limited: 'messages_rate_limited_total',
    };

    // What the senders were told, when nothing is open any more, and what the relays have counted.
    async function books() {
        const sticks = rig.robots.map(({ stick }) => stick);
        for (const stick of sticks) stick.freeze();
        await until(() => sticks.every(({ sent, fate }) => fate.size === sent.size), 5000, 'an answer to each move');
        return { told: sum(sticks.flatMap(({ fate }) => [...fate.values()])), counters: await counted(rig.cluster, rig.relays) };
    }

    // During act() the relays count what the senders are told.
    async function isCounted(act) {
        const before = await books();
        await act();
        const after = await books();
        for (const [fate, counter] of Object.entries(COUNTERS)) {
            const told = (after.told[fate] ?? 0) - (before.told[fate] ?? 0);
            assert.equal(after.counters[counter] - before.counters[counter], told, `${counter}: ${JSON.stringify(after.told)}`);
        }
    }

    // Shorter than it takes robot and relay to give each other up: all of it is delivered. One website knows heartbeats, one does not.
    it('of 1.5 s between relay and robot: everything arrives, nothing is done, each is told at once and counted', async () => {
        rig.robots[1].stick.useHb = false;
        try {
            await isCounted(async () => {
                for (let round = 0; round < often(1, 5); round++)
                    for (const fate of await toRobots(1.5)) assert.ok(fate['expired hb'] >= 70, JSON.stringify(fate));
            });
        } finally {
            rig.robots[1].stick.useHb = true;
        }
        const took = known.of('1.5 s between relay and robot');
        assert.ok(took.length >= 140 * often(1, 5), `${took.length} were told after the stall`);
        assert.ok(Math.max(...took) <= 250, `${Math.max(...took)} ms`);
    });

    const fromWebsites = (seconds) => stall(`${seconds} s between website and nginx`, [rig.websiteWire], seconds);

    it('of 3 s between website and nginx', () => isCounted(() => fromWebsites(3)));

    if (LONG) {
        it('of 3 s between relay and robot', () => toRobots(3));

        // Both ends have hung up long before: what was held reaches nobody any more.
        it('of 30 s between website and nginx', () => fromWebsites(30));

        it('of 30 s between relay and robot', () => toRobots(30));
    }

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});
