// Goal: where Redis takes no writes (full), nothing moves that could not be stopped, and everything that stops goes out all
// the same; what a dead relay's websites drove comes to rest; what is old undoes nothing.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import {
    A, B, EXPIRED, SENT, UNLATCHED, ZERO, attach, beat, control, ctl, events, history, orders, rearm, redis, report, robot, scripts,
    send, sent, stop, useScripts,
} from './lib/orders.mjs';

useScripts();

// Redis refuses what needs memory, but relays.
async function full(act) {
    await redis.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await redis.call('CONFIG', 'SET', 'maxmemory', '1');
    try {
        await act();
    } finally {
        await redis.call('CONFIG', 'SET', 'maxmemory', '0');
    }
}
const types = async (one) => (await orders(one)).map(({ type, json }) => (json.x === 0 ? `${type} 0` : type));

describe('a Redis that is full', () => {
    it('lets no motion out, nor a setting', async () => {
        const one = await robot('r1');
        await full(async () => {
            await assert.rejects(send('r1'), /OOM/);
            await assert.rejects(send(''), /OOM/);
            await assert.rejects(send('r1', { type: 'set_speed', json: '{"type":"set_speed","value":5}' }), /OOM/);
        });
        assert.deepEqual(await types(one), []);
    });

    it("lets zeros out, a website's and the relay's", async () => {
        const [one, two] = [await robot('r1'), await robot('r2')];
        await send('');
        await one.take();
        await two.take();
        await full(async () => {
            assert.deepEqual(await sent('r1', { json: ZERO, flags: 'z' }), [SENT, 1]);
            assert.deepEqual(await sent('', { json: ZERO, flags: 'zd' }), [SENT, 2]); // it was not written down that one rests
        });
        assert.deepEqual(await types(one), ['robot_move 0', 'robot_move 0']);
        assert.deepEqual(await types(two), ['robot_move 0']);
    });

    it('stops every robot, and says that it is not latched', async () => {
        const robots = [await robot('r1'), await robot('r2'), await robot('r3')];
        await full(async () => {
            const [code, reached] = await stop('');
            assert.deepEqual([code, reached], [UNLATCHED, 3]);
        });
        for (const one of robots) assert.deepEqual(await types(one), ['stop']);
        assert.deepEqual(await redis.call('SMEMBERS', 'tr:latched'), []);
        assert.deepEqual((await stop(''))[0], SENT);
        assert.equal((await redis.call('SMEMBERS', 'tr:latched')).length, 3);
    });

    it('reaches a robot that came meanwhile, which could not be entered', async () => {
        const one = await robot('r1');
        const conn = one.conn;
        await scripts.run('detach', A, 'r1', conn); // and is back at once
        await full(async () => {
            await assert.rejects(attach('r1'), /OOM/);
            assert.deepEqual((await stop('')).slice(0, 2), [UNLATCHED, 1]);
        });
        assert.deepEqual(await types(one), ['stop']);
    });

    it('tells relays the time', async () => {
        await full(async () => assert.equal((await beat(A)).length, 3));
        assert.equal((await beat(A))[2], 1); // the lease begins once it can
    });

    it('takes out nobody by halves', async () => {
        const one = await robot('r1');
        await scripts.told();
        await full(async () => assert.rejects(scripts.run('detach', A, 'r1', one.conn), /OOM/));
        assert.equal(await redis.call('HEXISTS', 'tr:online', 'r1'), 1);
        assert.deepEqual(await scripts.told(), []);
        assert.deepEqual(await scripts.run('detach', A, 'r1', one.conn), [1]);
        assert.match((await scripts.told()).join(), /^tr\/pres \d+ down /);
    });

    it('re-arms nothing', async () => {
        const one = await robot('r1');
        await stop('r1');
        await one.take();
        await full(async () => assert.rejects(rearm('r1'), /OOM/));
        assert.deepEqual(await types(one), []);
        assert.equal((await ctl()).stopped, '1');
    });
});

describe('what nobody can stop any more', () => {
    it('comes to rest with the relay of its driver', async () => {
        const [one, two] = [await robot('r1', A), await robot('r2', A)];
        await beat(A);
        await beat(B);
        await send('r1', { who: `${B}/1` });
        await send('r1', { who: `${B}/1`, type: 'camera_move', json: ZERO.replace('robot', 'camera').replace('0', '1') });
        await send('r2', { who: 1 });
        for (const each of [one, two]) await each.take();
        await redis.call('ZADD', 'tr:relays', 1, B); // its lease is over
        await redis.call('HSET', 'tr:beat', 'hold', 0);
        await beat(A);
        assert.deepEqual(await types(one), ['robot_move 0', 'camera_move 0']);
        assert.deepEqual(await types(two), []);
        assert.deepEqual([(await ctl('r1')).driver, (await ctl('r1')).camera], ['', '']);
        assert.deepEqual((await history('r1')).slice(2).map((entry) => entry.cause), ['deadman', 'deadman']);
        await beat(A);
        assert.deepEqual(await types(one), []);
    });

    it('comes to rest when its relay has Redis again', async () => {
        const [one, two] = [await robot('r1', B), await robot('r2', B)];
        await send('r1', { who: 1 });
        await send('r2', { who: `${B}/1` });
        for (const each of [one, two]) await each.take();
        await scripts.run('rest', A);
        assert.deepEqual([await types(one), await types(two)], [['robot_move 0'], []]);
        await scripts.run('rest', A);
        assert.deepEqual(await types(one), []);
    });

    it('comes to rest with the end of control', async () => {
        const one = await robot('r1');
        for (const how of ['release', 'expire']) {
            await control('acquire', 'r1', 1);
            await send('r1', { who: 1, flags: 'x' });
            await one.take();
            await control(how, 'r1', 1);
            assert.deepEqual(await types(one), ['robot_move 0'], how);
            assert.equal((await events()).at(-1).what, how);
            await control('release', 'r1', 1); // it is over already
            assert.deepEqual(await types(one), []);
        }
    });

    it('is zeroed without a deadline, where a command of a website is too late', async () => {
        const one = await robot('r1');
        await send('r1');
        await one.take();
        assert.deepEqual(await sent('r1', { json: ZERO, flags: 'z', ttl: -1 }), [EXPIRED, 0]);
        const now = await scripts.now();
        const zero = ZERO.slice(0, -1);
        assert.deepEqual((await scripts.run('command', A, 'r1', 0, now - 60000, 'robot_move', zero, `${A}/1`, 'ann', `${A}/1/7 0 `, 'zd')).slice(0, 2), [SENT, 1]);
        const [order] = await orders(one);
        assert.deepEqual([order.deadline, order.json.x], [0, 0]);
    });
});

describe('what is old', () => {
    it('re-arms nothing', async () => {
        const one = await robot('r1');
        await stop('r1');
        assert.deepEqual(await rearm('r1', { late: 2500 }), [EXPIRED, 0, 0]);
        assert.equal((await ctl()).stopped, '1');
        assert.equal((await rearm('r1', { late: 1000 }))[0], SENT);
        assert.deepEqual(await types(one), ['stop', 'rearm']);
    });

    it('stops all the same', async () => {
        await robot('r1');
        assert.deepEqual((await stop('r1', { late: 60000 })).slice(0, 2), [SENT, 1]);
    });

    it('confirms nothing newer; the robot is told again what is in force', async () => {
        const one = await robot('r1');
        const [, , first] = await stop('r1');
        await rearm('r1');
        const [, , second] = await stop('r1');
        await one.take();
        await report('r1', true, first);
        assert.equal((await ctl()).confirmed, '0');
        assert.deepEqual((await orders(one)).map(({ type, seq }) => [type, seq]), [['stop', second]]);
        await report('r1', true, second);
        assert.equal((await ctl()).confirmed, '1');
    });

    it('is not told to every device of long ago again', async () => {
        await robot('r1');
        await attach('old1', B);
        await redis.call('HDEL', 'tr:online', 'old1');
        await stop('');
        await scripts.told();
        const before = (await events()).length;
        await stop('');
        assert.deepEqual((await scripts.told()).map((line) => line.split(' ')[2]), ['r1']); // old1 is latched, and stays so
        assert.equal((await events()).length, before + 1);
        assert.equal((await ctl('old1')).stopped, '1');
    });
});
