// Goal: the relays' Lua scripts decide about commands, stops and control as one: what is stopped gets no motion, what
// somebody has control of obeys nobody else, numbers only rise, and what was decided is told and written down.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Redis, random } from './lib/harness.mjs';
import {
    A, B, CONTROL, SENT, EXPIRED, STOPPED, NOT_IN_CONTROL, NOBODY, GRANTED, REFUSED, LOST, MOVE, ZERO, open, scripts, redis, ctl, history,
    events, attach, beat, rises, robot, send, sent, stop, rearm, report, control, orders, timeless, useScripts,
} from './lib/orders.mjs';

useScripts();

describe('command', () => {
    it('reaches the one robot with everything that belongs to it', async () => {
        const [one, other] = [await robot('r1'), await robot('r2')];
        const begin = (await scripts.now()) * 1000;
        const [code, robots, seq] = await send('r1', { cmd: 'c 1' });
        assert.deepEqual([code, robots], [SENT, 1]);
        rises(seq, begin);
        const text = (await one.take()).join();
        assert.match(text, new RegExp(`^\\d+ robot_move ${seq} ${A}/1/77 3 c 1 `));
        assert.ok(text.endsWith(`${open(MOVE)},"seq":${seq}}`), text);
        assert.deepEqual(await other.take(), []);
        const [{ received_ms: received, ...entry }] = await history();
        assert.ok(Math.abs(received - begin / 1000) < 1000);
        assert.deepEqual(entry, { seq, by: 'name1', relay: 'wsd-1', outcome: 'sent', command: { ...JSON.parse(MOVE), seq } });
    });

    it('says 0 when nobody has the robot, and leaves no trace of one that never was', async () => {
        await attach('r1');
        assert.deepEqual(await sent('r1'), [SENT, 0]);
        assert.deepEqual(await sent(''), [SENT, 0]);
        assert.deepEqual((await history()).map((entry) => entry.outcome), ['no_robot', 'no_robot']);
        const before = (await redis.call('KEYS', '*')).sort();
        for (const more of [{}, { ttl: -1 }, { flags: 'x' }, { flags: 'd' }]) await send('nobody', more);
        assert.deepEqual((await redis.call('KEYS', '*')).sort(), before);
    });

    it('counts a robot once while two relays have it', async () => {
        await robot('r1');
        await scripts.robot('r1');
        assert.deepEqual(await sent('r1'), [SENT, 1]);
        assert.deepEqual(await sent(''), [SENT, 1]);
    });

    it('to all reaches those that are online', async () => {
        const online = [await robot('r0'), await robot('r1', B), await robot('r2')];
        const away = await scripts.robot('r3');
        await attach('gone');
        assert.deepEqual(await sent(''), [SENT, 3]);
        for (const one of online) assert.equal((await one.take()).length, 1);
        assert.deepEqual(await away.take(), []);
    });

    it('is dropped once its deadline has passed', async () => {
        const one = await robot('r1');
        assert.deepEqual(await sent('r1', { ttl: -1 }), [EXPIRED, 0]);
        assert.deepEqual(await sent('', { ttl: -1 }), [EXPIRED, 0]);
        assert.deepEqual(await sent('nobody', { ttl: -1 }), [EXPIRED, 0]);
        assert.deepEqual((await history()).map((entry) => entry.outcome), ['expired', 'expired']);
        assert.deepEqual(await sent('r1'), [SENT, 1]);
        assert.equal((await one.take()).length, 1);
    });

    it('has a number that rises, whatever was stored before', async () => {
        const one = await robot('r1');
        const first = (await send('r1'))[2];
        await redis.call('HSET', 'tr:ctl:r1', 'seq', 3); // an old store
        const second = (await send('r1'))[2];
        const ahead = 4000000000000000; // the clock was ahead: the year 2096
        await redis.call('HSET', 'tr:ctl:r1', 'seq', ahead);
        assert.equal((await send('r1'))[2], ahead + 1);
        assert.equal((await send('r1'))[2], ahead + 2);
        await redis.call('DEL', 'tr:ctl:r1'); // and lost
        const last = (await send('r1'))[2];
        assert.ok(last > second && second > first && last < ahead);
        assert.deepEqual((await orders(one)).map((o) => o.json.seq), [first, second, ahead + 1, ahead + 2, last]);
        await redis.call('HSET', 'tr:ctl:r1', 'seq', 'nonsense');
        rises((await send('r1'))[2], last + 1);
    });

    it('of motion is refused while the robot is stopped, also a zero; settings go', async () => {
        const one = await robot('r1');
        await robot('r2');
        await stop('r1');
        await one.take();
        assert.deepEqual(await sent('r1'), [STOPPED, 0]);
        assert.deepEqual(await sent('r1', { json: ZERO, flags: 'z' }), [STOPPED, 0]);
        assert.deepEqual(await sent('r1', { type: 'camera_move' }), [STOPPED, 0]);
        assert.deepEqual(await one.take(), []);
        assert.deepEqual(await sent('r1', { type: 'set_speed' }), [SENT, 1]);
        assert.deepEqual(await sent('r1', { type: 'request_frame' }), [SENT, 1]);
        assert.deepEqual(await sent(''), [SENT, 1]); // the other one
        await stop('r2');
        assert.deepEqual(await sent(''), [STOPPED, 0]);
        const entries = await history();
        assert.deepEqual(entries.map((entry) => entry.outcome),
            ['sent', 'stopped', 'stopped', 'stopped', 'sent', 'sent', 'stopped', 'stopped']);
        const numbers = entries.map((entry) => entry.seq);
        assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b)); // refused ones have their own, too
    });

    it('in exclusive mode goes only where its sender has control', async () => {
        const [one, two] = [await robot('r1'), await robot('r2')];
        assert.deepEqual(await sent('r1', { flags: 'x' }), [NOT_IN_CONTROL, 0]);
        const [, epoch] = await control('acquire', 'r1', 1);
        await orders(one);
        assert.deepEqual(await sent('r1', { flags: 'x' }), [SENT, 1]);
        assert.deepEqual(await sent('r1', { flags: 'x', type: 'set_speed' }), [SENT, 1]);
        for (const type of ['robot_move', 'camera_move', 'set_speed', 'set_brightness'])
            assert.deepEqual(await sent('r1', { flags: 'x', who: 2, type }), [NOT_IN_CONTROL, 0]);
        assert.deepEqual(await sent('r1', { flags: 'x', who: `${B}/1` }), [NOT_IN_CONTROL, 0]);
        assert.deepEqual(await sent('r1', { flags: 'x', who: 2, type: 'request_frame' }), [SENT, 1]);
        assert.deepEqual(await sent('', { flags: 'x' }), [SENT, 1]);
        assert.deepEqual(await sent('', { flags: 'x', who: 2 }), [NOT_IN_CONTROL, 0]);
        assert.deepEqual((await orders(one)).map((o) => [o.type, o.json.epoch]),
            [['robot_move', epoch], ['set_speed', epoch], ['request_frame', epoch], ['robot_move', epoch]]);
        assert.deepEqual(await two.take(), []);
        assert.deepEqual(await history('r2'), []); // it was not meant
        assert.equal((await history()).filter((entry) => entry.outcome === 'not_in_control').length, 6);
        // The lease is over by the clock, whoever has noticed.
        await redis.call('HSET', 'tr:ctl:r1', 'until', (await scripts.now()) - 1);
        assert.deepEqual(await sent('r1', { flags: 'x' }), [NOT_IN_CONTROL, 0]);
        // What the robot is comes first.
        await stop('r1');
        assert.deepEqual(await sent('r1', { flags: 'x' }), [STOPPED, 0]);
        assert.deepEqual(await sent('r1'), [STOPPED, 0]);
    });

    it('has no epoch in shared mode', async () => {
        const one = await robot('r1');
        await redis.call('HSET', 'tr:ctl:r1', 'epoch', 5);
        await send('r1');
        assert.equal((await orders(one))[0].json.epoch, undefined);
        assert.equal((await history())[0].epoch, undefined);
    });

    it("of the relay's own stops only what its sender set in motion", async () => {
        const one = await robot('r1');
        const dead = (who, more = {}) => sent('r1', { who, json: ZERO, flags: 'zd', ...more });
        assert.deepEqual(await dead(1), [SENT, 0]); // nothing was in motion
        await send('r1', { who: 1 });
        assert.deepEqual(await dead(2), [SENT, 0]);
        assert.deepEqual(await dead(1, { type: 'camera_move' }), [SENT, 0]); // another axis
        await send('r1', { who: 1, type: 'camera_move', flags: 'z' });
        assert.deepEqual(await dead(1), [SENT, 1]); // the camera's zero has not stopped the drive
        assert.deepEqual(await dead(1), [SENT, 0]); // once
        await send('r1', { who: 1 });
        await send('r1', { who: 2 }); // has taken over
        assert.deepEqual(await dead(1), [SENT, 0]);
        await send('r1', { who: 2, json: ZERO, flags: 'z' });
        assert.deepEqual(await dead(2), [SENT, 0]);
        await send('r1', { who: 2, type: 'camera_move' });
        await send('r1', { who: 2, type: 'set_speed' });
        assert.deepEqual(await dead(2, { type: 'camera_move' }), [SENT, 1]);
        await send('r1', { who: 2 });
        await stop('r1');
        await one.take();
        assert.deepEqual(await dead(2), [SENT, 0]);
        assert.deepEqual(await one.take(), []);
    });

    it("of the relay's own still comes when its sender has just lost control", async () => {
        await robot('r1');
        await control('acquire', 'r1', 1);
        await send('r1', { who: 1, flags: 'x' });
        await control('release', 'r1', 1);
        assert.deepEqual(await sent('r1', { who: 1, json: ZERO, flags: 'xzd' }), [SENT, 0]); // the release has stopped it
        await control('acquire', 'r1', 1);
        await send('r1', { who: 1, flags: 'x' });
        await redis.call('HSET', 'tr:ctl:r1', 'until', 0); // it ran out, and nobody has noticed yet
        assert.deepEqual(await sent('r1', { who: 1, json: ZERO, flags: 'xzd' }), [SENT, 1]);
        await control('acquire', 'r1', 1);
        await send('r1', { who: 1, flags: 'x' });
        await control('take', 'r1', 2); // which has stopped the robot already
        assert.deepEqual(await sent('r1', { who: 1, json: ZERO, flags: 'xzd' }), [SENT, 0]);
    });
});

describe('stop', () => {
    it('latches, tells the robot and all relays, and is written down', async () => {
        const one = await robot('r1');
        await send('r1');
        await one.take();
        const [result, robots, seq] = await stop('r1');
        assert.deepEqual([result, robots], [0, 1]);
        assert.deepEqual(await orders(one), [{ deadline: 0, type: 'stop', seq, from: `${A}/9/77`, id: 's1', json: { type: 'stop', seq } }]);
        const { at, ...rest } = await ctl();
        assert.deepEqual(rest, { seq: String(seq), sseq: String(seq), stopped: '1', confirmed: '0', by: 'ann', driver: '', camera: '' });
        assert.deepEqual(await scripts.told(), [`tr/state stop r1 ${seq} 1 0 ${at} ann`]);
        assert.deepEqual(await redis.call('SMEMBERS', 'tr:latched'), ['r1']);
        assert.deepEqual((await events()).at(-1), { kind: 'stop', device_id: 'r1', by: 'ann', seq });
        assert.deepEqual((await history()).map((entry) => [entry.command.type, entry.outcome]), [['robot_move', 'sent'], ['stop', 'sent']]);
    });

    it('keeps the number that robots know already when it is the newest', async () => {
        await robot('r1');
        const known = (await scripts.now()) * 1000 - 5000;
        assert.equal((await stop('r1', { given: known }))[2], known);
        const [, , next] = await stop('r1', { given: known });
        assert.ok(next > known);
        const ahead = next + 60000000;
        assert.equal((await stop('r1', { given: ahead }))[2], ahead);
        assert.equal((await rearm('r1'))[2], ahead + 1);
    });

    it('again is a new stop that the robot has to confirm', async () => {
        const one = await robot('r1');
        const [, , first] = await stop('r1');
        await report('r1', true, first);
        assert.equal((await ctl()).confirmed, '1');
        const [, , second] = await stop('r1', { by: 'bob' });
        assert.ok(second > first);
        const state = await ctl();
        assert.deepEqual([state.by, state.sseq, state.confirmed], ['bob', String(second), '0']);
        assert.equal((await orders(one)).length, 2);
    });

    it('of all reaches those online first, and latches every known one', async () => {
        const online = [await robot('r1'), await robot('r2', B)];
        for (const id of ['old1', 'old2']) await redis.call('ZADD', 'tr:devices', 5, id);
        const [, robots] = await stop('');
        assert.equal(robots, 2);
        for (const one of online) assert.deepEqual((await orders(one)).map((o) => o.type), ['stop']);
        assert.deepEqual((await redis.call('SMEMBERS', 'tr:latched')).sort(), ['old1', 'old2', 'r1', 'r2']);
        const told = (await scripts.told()).map((text) => text.split(' ')[2]);
        assert.deepEqual([told.slice(0, 2).sort(), told.slice(2).sort()], [['r1', 'r2'], ['old1', 'old2']]);
        assert.deepEqual(await history('old1'), []); // it hears of it when it comes
        assert.equal((await rearm(''))[1], 2);
        assert.deepEqual([await redis.call('SMEMBERS', 'tr:latched'), (await ctl('old1')).stopped], [[], '0']);
    });

    it('of a robot that never was reaches nobody and leaves no trace', async () => {
        assert.deepEqual(await stop('nobody'), [NOBODY, 0, 0]);
        assert.deepEqual(await rearm('nobody'), [NOBODY, 0, 0]);
        assert.deepEqual(await redis.call('KEYS', '*'), []);
        assert.deepEqual(await scripts.told(), []);
    });

    it('of a robot that listens but is not known (the store was lost) works', async () => {
        const one = await scripts.robot('r1');
        assert.deepEqual([(await stop('r1'))[1], (await orders(one)).length, (await ctl()).stopped], [1, 1, '1']);
    });

    it('ends with a re-arm, and motion goes again', async () => {
        const one = await robot('r1');
        const [, , seq] = await stop('r1');
        await scripts.told();
        const [, robots, newer] = await rearm('r1', { by: 'bob' });
        assert.equal(robots, 1);
        assert.ok(newer > seq);
        const { at, ...state } = await ctl();
        assert.deepEqual([state.stopped, state.confirmed, state.by, state.sseq], ['0', '0', 'bob', String(newer)]);
        assert.deepEqual(await scripts.told(), [`tr/state stop r1 ${newer} 0 0 ${at} bob`]);
        assert.deepEqual((await orders(one)).map((o) => o.type), ['stop', 'rearm']);
        assert.deepEqual(await redis.call('SMEMBERS', 'tr:latched'), []);
        assert.deepEqual([(await events()).at(-1).kind, await sent('r1')], ['rearm', [SENT, 1]]);
    });

    it('is not there: a re-arm changes nothing, but is honest', async () => {
        const one = await robot('r1');
        const [, robots, seq] = await rearm('r1');
        assert.equal(robots, 1);
        assert.deepEqual(await ctl(), { seq: String(seq) });
        assert.deepEqual(await scripts.told(), ['tr/state stop r1 0 0 0 0 -']);
        assert.deepEqual((await orders(one)).map((o) => [o.type, o.seq]), [['rearm', seq]]);
    });

    it('is told to a robot that comes, and to one whose relay comes back', async () => {
        const one = await robot('r1');
        const [, , seq] = await stop('r1');
        await report('r1', true, seq);
        const { at } = await ctl();
        await one.take();
        await scripts.told();
        const again = { deadline: 0, type: 'stop', seq, id: '', json: { type: 'stop', by: 'ann', seq } };
        const state = `tr/state stop r1 ${seq} 1 0 ${at} ann`;
        await attach('r1', A, one.conn);
        assert.deepEqual(await timeless(one), [{ ...again, from: `${A}/0/0` }]);
        assert.deepEqual(await scripts.told(), [state]);
        await report('r1', true, seq);
        await scripts.told();
        const conn = await attach('r1', B);
        assert.deepEqual(await timeless(one), [{ ...again, from: `${B}/0/0` }]);
        assert.deepEqual(await scripts.told(), [`tr/relay/${A} kick ${conn} r1`, `tr/pres 2 up ${conn} r1`, state]);
        await rearm('r1');
        await one.take();
        await attach('r1', A);
        assert.deepEqual(await one.take(), []);
    });
});

describe('report', () => {
    it('confirms a stop and a re-arm, once each', async () => {
        await robot('r1');
        for (const [act, stopped] of [[stop, true], [rearm, false]]) {
            const [, , seq] = await act('r1');
            await scripts.told();
            assert.equal(await report('r1', stopped, seq), 1);
            const { at } = await ctl();
            assert.deepEqual(await scripts.told(), [`tr/state stop r1 ${seq} ${stopped ? 1 : 0} 1 ${at} ann`]);
            assert.deepEqual((await events()).at(-1), { kind: 'confirmed', device_id: 'r1', stopped, seq });
            assert.equal(await report('r1', stopped, seq), 1);
            assert.deepEqual(await scripts.told(), []);
        }
    });

    it('of a robot that was never stopped stores nothing', async () => {
        await robot('r1');
        assert.equal(await report('r1', false), 1);
        assert.deepEqual(await ctl(), {});
        assert.deepEqual(await scripts.told(), []);
    });

    it('of a stop that the store does not know latches it', async () => {
        const one = await robot('r1');
        const seq = (await scripts.now()) * 1000 + 30000000;
        assert.equal(await report('r1', true, seq, 'button'), 0);
        const { at, ...state } = await ctl();
        assert.deepEqual(state, { seq: String(seq), sseq: String(seq), stopped: '1', confirmed: '1', by: 'button', driver: '', camera: '' });
        assert.deepEqual(await scripts.told(), [`tr/state stop r1 ${seq} 1 1 ${at} button`]);
        assert.deepEqual(await redis.call('SMEMBERS', 'tr:latched'), ['r1']);
        assert.deepEqual((await events()).at(-1), { kind: 'stop', device_id: 'r1', by: 'button', seq });
        assert.deepEqual(await one.take(), []);
        assert.deepEqual(await sent('r1'), [STOPPED, 0]);
        rises((await rearm('r1'))[2], seq + 1); // so that the robot takes it
        assert.equal(await report('r1', true), 0); // without a number it is newer, too
        assert.equal((await ctl()).stopped, '1');
    });

    it('of a stop that is older than the re-arm sends that again', async () => {
        const one = await robot('r1');
        const [, , old] = await stop('r1');
        const [, , seq] = await rearm('r1', { by: 'bob' });
        await one.take();
        assert.equal(await report('r1', true, old), 0);
        assert.deepEqual(await timeless(one), [{ deadline: 0, type: 'rearm', seq, from: `${A}/0/0`, id: '',
            json: { type: 'rearm', by: 'bob', seq } }]);
        assert.equal((await ctl()).stopped, '0');
        assert.equal(await report('r1', true, seq), 0); // in doubt it is stopped
        assert.equal((await ctl()).stopped, '1');
    });

    it('of a robot that should be stopped stops it again', async () => {
        const one = await robot('r1');
        const [, , seq] = await stop('r1');
        await report('r1', true, seq);
        await one.take();
        await scripts.told();
        for (const said of [seq - 5, seq + 5, -1]) {
            assert.equal(await report('r1', false, said), 0);
            assert.deepEqual((await orders(one)).map((o) => [o.type, o.seq]), [['stop', seq]]);
            const state = await ctl();
            assert.deepEqual([state.stopped, state.confirmed], ['1', '0']);
        }
        assert.equal((await scripts.told()).length, 1);
        rises((await ctl()).seq, seq + 5); // what the robot has seen is not given out again
    });

    it('with a number out of all reason cannot block the numbers', async () => {
        await robot('r1');
        await report('r1', true, 2 ** 53 - 1);
        const [, , seq] = await rearm('r1');
        assert.ok(seq < 2 ** 52);
        assert.ok((await stop('r1'))[2] > seq);
    });
});

describe('control', () => {
    it('is granted with a new epoch, and the robot is stopped first', async () => {
        const one = await robot('r1');
        await send('r1', { who: 2 });
        await one.take();
        const begin = await scripts.now();
        const [result, epoch, holder] = await control('acquire', 'r1', 1);
        assert.deepEqual([result, holder], [GRANTED, 'name1']);
        rises(epoch, begin);
        const got = await orders(one);
        assert.deepEqual(got.map((o) => [o.type, o.json.type, o.json.x, o.json.y, o.json.epoch]),
            [['robot_move', 'robot_move', 0, 0, epoch], ['camera_move', 'camera_move', 0, 0, epoch]]);
        assert.ok(got[1].seq > got[0].seq);
        const state = await ctl();
        assert.deepEqual([state.holder, state.name, state.epoch, state.driver], [`${A}/1`, 'name1', String(epoch), '']);
        rises(state.until, begin + CONTROL);
        assert.deepEqual(await scripts.told(), [`tr/state control r1 ${epoch} ${A}/1 name1`]);
        assert.deepEqual(await redis.call('SMEMBERS', 'tr:held'), ['r1']);
        assert.deepEqual((await events()).at(-1), { kind: 'control', device_id: 'r1', by: 'name1', what: 'acquire', epoch });
        rises((await send('r1'))[2], got[1].seq + 1);
    });

    it('again is a renewal, and of another one is refused', async () => {
        await robot('r1');
        const [, epoch] = await control('acquire', 'r1', 1);
        await scripts.told();
        await redis.call('HSET', 'tr:ctl:r1', 'until', (await scripts.now()) + 100);
        for (const op of ['acquire', 'renew', 'take']) {
            assert.deepEqual(await control(op, 'r1', 1), [GRANTED, epoch, 'name1']);
            rises((await ctl()).until, (await scripts.now()) + CONTROL - 500);
        }
        assert.deepEqual(await control('acquire', 'r1', 2), [REFUSED, epoch, 'name1']);
        assert.deepEqual(await control('renew', 'r1', 2), [LOST, epoch, 'name1']);
        assert.deepEqual(await control('release', 'r1', 2), [LOST, epoch, 'name1']);
        assert.deepEqual(await scripts.told(), []);
    });

    it('can be taken', async () => {
        const one = await robot('r1');
        const [, old] = await control('acquire', 'r1', 1);
        await one.take();
        const [result, epoch] = await control('take', 'r1', 2);
        assert.equal(result, GRANTED);
        assert.ok(epoch > old);
        assert.equal((await orders(one)).length, 2);
        assert.deepEqual(await control('renew', 'r1', 1), [LOST, epoch, 'name2']);
        assert.deepEqual(await sent('r1', { who: 1, flags: 'x' }), [NOT_IN_CONTROL, 0]);
        assert.deepEqual(await sent('r1', { who: 2, flags: 'x' }), [SENT, 1]);
    });

    it('is released, which is newer than the grant', async () => {
        await robot('r1');
        const [, granted] = await control('acquire', 'r1', 1);
        await scripts.told();
        const [result, epoch, holder] = await control('release', 'r1', 1);
        assert.deepEqual([result, holder], [GRANTED, '']);
        assert.ok(epoch > granted);
        assert.deepEqual(await scripts.told(), [`tr/state control r1 ${epoch} - -`]);
        assert.deepEqual(await redis.call('SMEMBERS', 'tr:held'), []);
        assert.deepEqual((await events()).at(-1), { kind: 'control', device_id: 'r1', by: 'name1', what: 'release', epoch });
        assert.deepEqual(await control('renew', 'r1', 1), [LOST, epoch, '']);
        assert.equal((await control('acquire', 'r1', 2))[0], GRANTED);
    });

    it('that ran out is over, and a beat says so once', async () => {
        await robot('r1');
        await beat();
        const [, granted] = await control('acquire', 'r1', 1);
        await beat();
        assert.equal((await ctl()).holder, `${A}/1`);
        await scripts.told();
        await redis.call('HSET', 'tr:ctl:r1', 'until', (await scripts.now()) - 1);
        assert.equal((await control('renew', 'r1', 1))[0], LOST);
        await beat(B);
        const { epoch, holder } = await ctl();
        assert.equal(holder, '');
        assert.ok(Number(epoch) > granted);
        assert.deepEqual(await scripts.told(), [`tr/state control r1 ${epoch} - -`]);
        assert.equal((await events()).at(-1).what, 'expire');
        await beat(A);
        assert.deepEqual(await scripts.told(), []);
        await control('acquire', 'r1', 1);
        await redis.call('HSET', 'tr:ctl:r1', 'until', (await scripts.now()) - 1);
        assert.equal((await control('acquire', 'r1', 2))[0], GRANTED); // before any beat
    });

    it('ends although the clock went back', async () => {
        await robot('r1');
        await control('acquire', 'r1', 1);
        await redis.call('HSET', 'tr:ctl:r1', 'until', (await scripts.now()) + 3600000);
        await beat();
        assert.ok(Number((await ctl()).until) <= (await scripts.now()) + CONTROL);
    });

    it('has epochs that rise, whatever was stored before', async () => {
        await robot('r1');
        const [, first] = await control('acquire', 'r1', 1);
        await redis.call('HSET', 'tr:ctl:r1', 'epoch', 7);
        assert.ok((await control('take', 'r1', 2))[1] >= first);
        await redis.call('HSET', 'tr:ctl:r1', 'epoch', first + 1e9);
        assert.equal((await control('take', 'r1', 1))[1], first + 1e9 + 1);
        await redis.call('DEL', 'tr:ctl:r1');
        assert.ok((await control('acquire', 'r1', 1))[1] >= first);
    });

    it('of a robot that never was is refused', async () => {
        assert.deepEqual(await control('acquire', 'nobody', 1), [REFUSED, 0, '']);
        assert.deepEqual(await control('take', 'nobody', 1), [REFUSED, 0, '']);
        assert.deepEqual(await redis.call('KEYS', '*'), []);
    });

    it('has one holder at a time, in 10,000 races', { timeout: 60000 }, async () => {
        await attach('r1');
        const rnd = random(20261124);
        const both = [await Redis.open(scripts.socket), await Redis.open(scripts.socket)];
        const ask = (n, op) => scripts.runOn(both[n], 'control', n ? B : A, op, 'r1', n ? `${B}/1` : `${A}/1`, `n${n}`,
            CONTROL, open(ZERO), open(ZERO), 0, 0);
        const wins = [0, 0];
        let last = 0;
        for (let race = 0; race < 10000; race++) {
            const order = rnd.pick([[0, 1], [1, 0]]);
            const answers = [];
            await Promise.all(order.map(async (n) => (answers[n] = await ask(n, 'acquire'))));
            const winner = answers.findIndex(([result]) => result === GRANTED);
            assert.deepEqual(answers.map(([result]) => result).sort(), [GRANTED, REFUSED]);
            assert.equal(answers[1 - winner][2], `n${winner}`);
            const epoch = answers[winner][1];
            assert.ok(epoch > last, `${epoch} after ${last}`);
            wins[winner]++;
            last = (await ask(winner, 'release'))[1];
            assert.ok(last > epoch);
        }
        for (const one of both) one.close();
        assert.ok(Math.min(...wins) > 100, `${wins}`); // both did race
    });
});

describe('what is told', () => {
    it('to a relay that comes up is who is stopped and who has control', async () => {
        for (const id of ['r1', 'r2', 'r3']) await robot(id);
        const [, , seq] = await stop('r1');
        const [, epoch] = await control('acquire', 'r2', 1);
        const { at } = await ctl('r1');
        await scripts.told();
        assert.equal(await scripts.run('state', B), 2);
        assert.deepEqual(await scripts.told(), [`tr/relay/${B} states\nstop r1 ${seq} 1 0 ${at} ann\ncontrol r2 ${epoch} ${A}/1 name1`]);
        await rearm('r1');
        await control('release', 'r2', 1);
        await scripts.told();
        await scripts.run('state', B);
        assert.deepEqual(await scripts.told(), [`tr/relay/${B} states`]);
    });

    it('is kept as long as is asked for', async () => {
        await robot('r1');
        [scripts.events, scripts.commands] = [0, 0];
        for (let i = 0; i < 300; i++) await stop('r1');
        assert.equal(await redis.call('XLEN', 'tr:cmds:r1'), 300);
        assert.equal((await events()).length, 301);
        [scripts.events, scripts.commands] = [1, 1]; // about: whole nodes of 100
        await stop('r1');
        assert.ok((await redis.call('XLEN', 'tr:cmds:r1')) <= 101);
        assert.ok((await events()).length <= 101);
        [scripts.events, scripts.commands] = [1000, 1000];
    });

    it('of connections goes into the events', async () => {
        const conn = await attach('r1');
        await scripts.run('detach', A, 'r1', conn);
        await attach('r1', B);
        await attach('r1');
        await scripts.run('leave', A);
        assert.deepEqual(await events(), [
            { kind: 'connected', device_id: 'r1', relay: 'wsd-1' },
            { kind: 'disconnected', device_id: 'r1' },
            { kind: 'connected', device_id: 'r1', relay: 'wsd-2' },
            { kind: 'connected', device_id: 'r1', relay: 'wsd-1' },
            { kind: 'disconnected', device_id: 'r1' },
        ]);
    });
});
