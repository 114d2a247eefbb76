// Goal: the relays' Lua scripts keep who is online right, each rule by itself and against a model: the newest
// connection wins, a late end says nothing, a dead relay's robots go exactly once, and no clock or outage of
// Redis makes anybody go who is there.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { random, until } from './lib/harness.mjs';
import { relayName, Scripts } from './lib/scripts.mjs';

const SEED = 20260122;
const LEASE = 3000;
const CONTROL = 2000;
const A = 'wsd-1#00000000000000aa';
const B = 'wsd-2#00000000000000bb';

let scripts, redis;
before(async () => {
    scripts = await Scripts.start();
    redis = scripts.redis;
});
after(() => scripts?.stop());
afterEach(() => scripts.clear());

const attach = (id, instance, had = 0, most = 0) =>
    scripts.run('attach', instance, id, had, most, 'now').then(([conn]) => conn);
const detach = (id, instance, conn) => scripts.run('detach', instance, id, conn).then(([went]) => went);
const beat = async (instance, lease = LEASE) => (await scripts.run('beat', instance, lease, CONTROL))[2];
const now = () => scripts.now();
const told = () => scripts.told();
const near = (value, want, slack = 500) => assert.ok(Math.abs(value - want) <= slack, `${value} is not about ${want}`);

// {id: [conn, instance]}
async function online() {
    const flat = await redis.call('HGETALL', 'tr:online');
    const all = {};
    for (let i = 0; i < flat.length; i += 2) {
        const [conn, since, instance, relay, ...more] = flat[i + 1].split(' ');
        near(Number(since), await now(), 60000);
        assert.equal(relay, relayName(instance));
        assert.deepEqual(more, []);
        all[flat[i]] = [Number(conn), instance];
    }
    return all;
}
const owned = async (instance) => (await redis.call('SMEMBERS', `tr:owned:${instance}`)).sort();

// A relay that gave no sign of life for longer than its lease.
const lapse = async (instance) => redis.call('ZADD', 'tr:relays', (await now()) - 1, instance);

describe('attach', () => {
    it('enters a robot as online, with a number, and tells', async () => {
        assert.equal(await attach('robot_01', A), 1);
        assert.deepEqual(await online(), { robot_01: [1, A] });
        assert.deepEqual(await owned(A), ['robot_01']);
        near(Number(await redis.call('ZSCORE', 'tr:devices', 'robot_01')), await now());
        assert.deepEqual(await told(), ['tr/pres 1 up 1 robot_01']);
    });

    it('again for the same connection changes nothing', async () => {
        const conn = await attach('robot_01', A);
        await redis.call('SREM', `tr:owned:${A}`, 'robot_01');
        await told();
        assert.equal(await attach('robot_01', A, conn), conn);
        assert.deepEqual(await owned(A), ['robot_01']); // but it is sure to be owned
        assert.deepEqual(await told(), []);
        assert.equal(await redis.call('GET', 'tr:conn'), '1');
    });

    it('of a newer connection on the same relay takes over', async () => {
        await attach('robot_01', A);
        await told();
        assert.equal(await attach('robot_01', A), 2);
        assert.deepEqual(await online(), { robot_01: [2, A] });
        assert.deepEqual(await told(), ['tr/pres 2 up 2 robot_01']); // no kick: the relay knows
    });

    it('of a newer connection on another relay takes over and kicks the old one', async () => {
        await attach('robot_01', A);
        await attach('robot_02', A);
        await told();
        assert.equal(await attach('robot_01', B), 3);
        assert.deepEqual(await online(), { robot_01: [3, B], robot_02: [2, A] });
        assert.deepEqual(await owned(A), ['robot_02']);
        assert.deepEqual(await owned(B), ['robot_01']);
        assert.deepEqual(await told(), [`tr/relay/${A} kick 3 robot_01`, 'tr/pres 3 up 3 robot_01']);
    });

    it('of an older connection is refused while a newer one is there', async () => {
        const old = await attach('robot_01', A);
        const conn = await attach('robot_01', B);
        await told();
        assert.equal(await attach('robot_01', A, old), 0);
        assert.deepEqual(await online(), { robot_01: [conn, B] });
        assert.deepEqual(await owned(A), []);
        assert.deepEqual(await told(), []);
    });

    it('reclaims its place after others took the relay for dead', async () => {
        const conn = await attach('robot_01', A);
        await beat(A);
        await beat(B);
        await lapse(A);
        await beat(B);
        assert.deepEqual(await online(), {});
        await told();
        const again = await attach('robot_01', A, conn);
        assert.ok(again > conn);
        assert.deepEqual(await online(), { robot_01: [again, A] });
        assert.deepEqual(await told(), [`tr/pres 3 up ${again} robot_01`]);
    });

    it('gives a higher number than it had when Redis has forgotten its counter', async () => {
        assert.equal(await attach('robot_01', A, 41), 42);
        assert.equal(await attach('robot_02', A), 43);
        await redis.call('DEL', 'tr:conn');
        assert.equal(await attach('robot_02', A), 44); // higher than the one that is online
    });

    it('gives a new number to the same number on another instance', async () => {
        const conn = await attach('robot_01', A);
        await told();
        assert.equal(await attach('robot_01', B, conn), conn + 1);
        assert.deepEqual(await told(), [`tr/relay/${A} kick 2 robot_01`, 'tr/pres 2 up 2 robot_01']);
    });

    it('refuses more devices than allowed, but none that is known', async () => {
        assert.equal(await attach('robot_01', A, 0, 2), 1);
        assert.equal(await attach('robot_02', A, 0, 2), 2);
        await told();
        assert.equal(await attach('robot_03', A, 0, 2), -1);
        assert.deepEqual(Object.keys(await online()), ['robot_01', 'robot_02']);
        assert.deepEqual(await owned(A), ['robot_01', 'robot_02']);
        assert.equal(await redis.call('ZCARD', 'tr:devices'), 2);
        assert.deepEqual(await told(), []);
        assert.equal(await detach('robot_02', A, 2), 1);
        assert.equal(await attach('robot_03', A, 0, 2), -1); // offline, robot_02 is still known
        assert.equal(await attach('robot_02', A, 0, 2), 3);
        assert.equal(await attach('robot_01', B, 0, 1), 4);
        assert.equal(await attach('robot_03', A, 0, 0), 5);
    });
});

describe('detach', () => {
    it('takes a robot out and tells', async () => {
        const conn = await attach('robot_01', A);
        await redis.call('ZADD', 'tr:devices', 5, 'robot_01');
        await told();
        assert.equal(await detach('robot_01', A, conn), 1);
        assert.deepEqual(await online(), {});
        assert.deepEqual(await owned(A), []);
        near(Number(await redis.call('ZSCORE', 'tr:devices', 'robot_01')), await now());
        assert.deepEqual(await told(), ['tr/pres 2 down 1 robot_01']);
        assert.equal(await detach('robot_01', A, conn), 0);
        assert.deepEqual(await told(), []);
    });

    for (const [name, instance] of [['the same relay', A], ['another relay', B]])
        it(`by an old connection does nothing to a newer one on ${name}`, async () => {
            const old = await attach('robot_01', A);
            const conn = await attach('robot_01', instance);
            await told();
            assert.equal(await detach('robot_01', A, old), 0);
            assert.deepEqual(await online(), { robot_01: [conn, instance] });
            assert.deepEqual(await owned(instance), ['robot_01']);
            assert.deepEqual(await told(), []);
        });

    it('by another relay, or of nobody, does nothing', async () => {
        const conn = await attach('robot_01', A);
        await told();
        assert.equal(await detach('robot_01', B, conn), 0);
        assert.equal(await detach('nobody', A, 1), 0);
        assert.deepEqual(await online(), { robot_01: [conn, A] });
        assert.deepEqual(await told(), []);
    });
});

describe('beat', () => {
    it('says the time, and whether the lease had run out', async () => {
        const [s, us, fresh] = await scripts.run('beat', A, LEASE, CONTROL);
        near(s * 1000 + us / 1000, await now());
        assert.equal(fresh, 1);
        near(Number(await redis.call('ZSCORE', 'tr:relays', A)), (await now()) + LEASE);
        assert.equal(await beat(A), 0);
        await lapse(A);
        assert.equal(await beat(A), 0); // late, but nobody has noticed
        await lapse(A);
        await beat(B);
        assert.equal(await beat(A), 1);
    });

    it('removes the robots of dead relays only, and once', async () => {
        await beat(A);
        await beat(B);
        await attach('robot_01', A);
        await attach('robot_02', B);
        await attach('robot_03', A);
        await redis.call('ZADD', 'tr:devices', 5, 'robot_01');
        await told();
        await beat(B);
        assert.deepEqual(await told(), []);
        await lapse(A);
        await beat(B);
        assert.deepEqual(await online(), { robot_02: [2, B] });
        near(Number(await redis.call('ZSCORE', 'tr:devices', 'robot_01')), await now());
        const events = await told();
        assert.deepEqual(events.map((text) => text.slice(10)).sort(), ['down 1 robot_01', 'down 3 robot_03']);
        assert.deepEqual(events.map((text) => Number(text.split(' ')[1])), [4, 5]);
        assert.deepEqual(await owned(A), []);
        assert.deepEqual(await redis.call('ZRANGE', 'tr:relays', 0, -1), [B]);
        await beat(B);
        assert.deepEqual(await told(), []);
    });

    it('leaves alone a robot of a dead relay that is elsewhere by now', async () => {
        await beat(A);
        await beat(B);
        await attach('robot_01', A);
        await attach('robot_01', B);
        await redis.call('SADD', `tr:owned:${A}`, 'robot_01', 'nobody'); // as if it had been left behind
        await told();
        await lapse(A);
        await beat(B);
        assert.deepEqual(await online(), { robot_01: [2, B] });
        assert.deepEqual(await told(), []);
    });

    it('of one relay alone is frequent enough', async () => {
        await beat(A);
        await attach('robot_01', A);
        await lapse(A);
        await redis.call('HSET', 'tr:beat', 'at', (await now()) - 1100); // B, once a second
        await beat(B);
        assert.deepEqual(await online(), {});
    });

    // What "nobody gave a sign of life" and a clock that jumped look like.
    const odd = [
        ['after Redis was away', () => now().then((t) => ['at', t - LEASE])],
        ['after Redis was away for long', () => now().then((t) => ['at', t - 86400000])],
        ['after the clock went back', () => now().then((t) => ['at', t + 3600000])],
        ['after the clock went back during such a pause', () => now().then((t) => ['hold', t + 3600000])],
    ];
    for (const [name, fields] of odd)
        it(`removes nobody ${name} until every relay had a whole lease`, async () => {
            await beat(A);
            await beat(B);
            await attach('robot_01', A);
            await attach('robot_02', B);
            await told();
            await lapse(A);
            await redis.call('HSET', 'tr:beat', ...await fields());
            assert.equal(await beat(B), 0);
            near(Number(await redis.call('HGET', 'tr:beat', 'hold')), (await now()) + LEASE);
            near(Number(await redis.call('ZSCORE', 'tr:relays', A)), (await now()) + LEASE);
            await lapse(A); // still on hold, whatever its lease says
            await beat(B);
            assert.deepEqual(Object.keys(await online()), ['robot_01', 'robot_02']);
            assert.equal(await beat(A), 0); // A was alive all the time
            assert.deepEqual(await told(), []);
            await lapse(A); // and now it is dead, and the pause is over
            await redis.call('HSET', 'tr:beat', 'hold', (await now()) - 1);
            await beat(B);
            assert.deepEqual(await online(), { robot_02: [2, B] });
            assert.deepEqual(await told(), ['tr/pres 3 down 1 robot_01']);
        });

    it('is over with a lease by its own clock, without help', async () => {
        await beat(A, 400);
        await attach('robot_01', A);
        await told();
        await until(async () => (await beat(B, 400), !('robot_01' in await online())), 3000, 'robot_01 goes', 50);
        assert.deepEqual(await told(), ['tr/pres 2 down 1 robot_01']);
    });
});

describe('snapshot', () => {
    it('is who is online and the number of the last event', async () => {
        assert.deepEqual(await scripts.run('snapshot', A), ['0', []]);
        await attach('robot_01', A);
        await attach('robot_02', B);
        await attach('robot_01', B);
        const [seq, flat] = await scripts.run('snapshot', A);
        assert.equal(seq, '3');
        assert.deepEqual(flat.filter((_, i) => i % 2 === 0).sort(), ['robot_01', 'robot_02']);
        assert.match(flat[flat.indexOf('robot_01') + 1], new RegExp(`^3 \\d+ ${B} wsd-2$`));
    });
});

describe('leave', () => {
    it('ends the lease and takes what was not detached along', async () => {
        await beat(A);
        await beat(B);
        await attach('robot_01', A);
        await attach('robot_02', B);
        await attach('robot_03', A);
        await attach('robot_03', B);
        await redis.call('SADD', `tr:owned:${A}`, 'robot_03');
        await told();
        assert.equal(await scripts.run('leave', A), 1);
        assert.deepEqual(await online(), { robot_02: [2, B], robot_03: [4, B] });
        assert.deepEqual(await told(), ['tr/pres 5 down 1 robot_01']);
        assert.deepEqual(await owned(A), []);
        assert.deepEqual(await redis.call('ZRANGE', 'tr:relays', 0, -1), [B]);
        assert.equal(await scripts.run('leave', A), 0);
        await beat(B);
        assert.deepEqual(await told(), []);
    });
});

describe('all of them, in any order', () => {
    it('end in the state of a model, and every change is told once', { timeout: 60000 }, async () => {
        const rnd = random(SEED);
        const robots = Array.from({ length: 8 }, (_, i) => `r${i}`);
        const instances = [A, B, 'wsd-3#00000000000000cc'];
        const held = []; // [id, instance, conn]: connections that may still end or come again
        const model = new Map();
        const expected = [];
        let seq = 0, conn = 0;
        const tell = (what, id, number) => expected.push(`tr/pres ${++seq} ${what} ${number} ${id}`);
        for (const instance of instances) await beat(instance);
        for (let step = 0; step < 4000; step++) {
            const what = rnd.int(100);
            const [id, instance] = [rnd.pick(robots), rnd.pick(instances)];
            const was = model.get(id);
            if (what < 40) {
                if (was && was[1] !== instance) expected.push(`tr/relay/${was[1]} kick ${conn + 1} ${id}`);
                tell('up', id, ++conn);
                model.set(id, [conn, instance]);
                held.push([id, instance, conn]);
                assert.equal(await attach(id, instance), conn);
            } else if (what < 70 && held.length) {
                const [[who, where, number]] = held.splice(rnd.int(held.length), 1);
                const current = model.get(who)?.[0] === number;
                if (current) {
                    tell('down', who, number);
                    model.delete(who);
                }
                assert.equal(await detach(who, where, number), current ? 1 : 0);
            } else if (what < 85 && held.length) {
                const mine = rnd.pick(held);
                const [who, where, number] = mine;
                const there = model.get(who);
                const answer = await attach(who, where, number);
                if (there && there[0] > number) assert.equal(answer, 0);
                else if (there) assert.equal(answer, number);
                else {
                    tell('up', who, ++conn);
                    model.set(who, [conn, where]);
                    mine[2] = conn;
                    assert.equal(answer, conn);
                }
            } else if (what < 95) {
                assert.equal(await beat(instance), 0);
            } else {
                const alive = instances.find((one) => one !== instance);
                await lapse(instance);
                await beat(alive);
                const dead = [...model].filter(([, [, where]]) => where === instance).map(([who]) => who);
                const events = await told();
                assert.deepEqual(events.slice(0, expected.length), expected.splice(0));
                // In the order of a set, which is any.
                const rest = events.slice(events.length - dead.length);
                assert.deepEqual(rest.map((text) => text.split(' ').slice(2).join(' ')).sort(),
                    dead.map((who) => `down ${model.get(who)[0]} ${who}`).sort());
                for (const who of dead) model.delete(who);
                seq += dead.length;
                assert.equal(await beat(instance), 1);
            }
        }
        assert.deepEqual(await told(), expected);
        assert.deepEqual(await online(), Object.fromEntries(model));
        for (const instance of instances)
            assert.deepEqual(await owned(instance), [...model].filter(([, [, where]]) => where === instance).map(([who]) => who).sort());
        const [number] = await scripts.run('snapshot', A);
        assert.equal(Number(number), seq);
    });
});
