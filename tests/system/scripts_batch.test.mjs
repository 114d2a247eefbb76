// Goal: samples that a robot sends late are stored all or none, each once however often it is sent, under their own time
// where that can be right, in the order of their times.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { random } from './lib/harness.mjs';
import { Scripts } from './lib/scripts.mjs';

const A = 'wsd-1#00000000000000aa';
const KEY = 'tr:tel:r1';
const T = 1768473045000;

let scripts, redis;
before(async () => {
    scripts = await Scripts.start();
    redis = scripts.redis;
});
after(() => scripts?.stop());
afterEach(() => scripts.clear());

const lines = (samples) => samples.map(([ms, metrics]) => `${ms} ${metrics}\n`).join('');
const store = async (samples, { most = 0, latest, note = 1 } = {}) =>
    scripts.run('batch', A, 'r1', most, latest ?? (await scripts.now()) + 2000, lines(samples), note);
const entries = async () => (await redis.call('XRANGE', KEY, '-', '+')).map(([id, [, metrics]]) => [id, metrics]);
const add = (id, metrics) => redis.call('XADD', KEY, id, 'd', metrics);
const isNow = async (ms) => assert.ok(Math.abs(ms - (await scripts.now())) < 2000, `${ms} is not now`);

describe('a batch', () => {
    it('goes under the times of its samples', async () => {
        assert.deepEqual(await store([[T, '"a":1'], [T + 5, '"a":2'], [T + 5, '"a":3'], [T + 9, '']]), [T, T + 5, T + 5, T + 9]);
        assert.deepEqual(await entries(), [[`${T}-0`, '"a":1'], [`${T + 5}-0`, '"a":2'], [`${T + 5}-1`, '"a":3'], [`${T + 9}-0`, '']]);
        assert.deepEqual(await redis.call('KEYS', '*'), [KEY]);
    });

    it('that comes again is not stored again, nor is the part that came before', async () => {
        const all = Array.from({ length: 100 }, (_, i) => [T + 50 * i, `"n":${i}`]);
        await store(all.slice(0, 60));
        const times = await store(all);
        assert.deepEqual(times, all.map(([ms], i) => (i < 60 ? 0 : ms)));
        assert.deepEqual(await store(all), all.map(() => 0));
        assert.deepEqual((await entries()).map(([, metrics]) => metrics), all.map(([, metrics]) => metrics));
    });

    it('is another one with other values at the same time', async () => {
        await add(`${T}-0`, '"a":1');
        assert.deepEqual(await store([[T, '"a":1']]), [0]);
        assert.deepEqual(await store([[T, '"a":2']]), [T]);
        assert.deepEqual(await store([[T, '"a":1'], [T, '"a":2'], [T, '"a":1']]), [0, 0, 0]);
        assert.equal((await entries()).length, 2);
    });

    it('gets the time of arrival where its own is too early or too late', async () => {
        await add(`${T + 1000}-0`, '"a":0');
        const now = await scripts.now();
        const [early, right, late] = await store([[T, '"a":1'], [T + 2000, '"a":2'], [now + 5000, '"a":3']]);
        assert.equal(right, T + 2000); // the early one does not take that from it
        await isNow(early);
        await isNow(late);
        assert.deepEqual((await entries()).map(([, metrics]) => metrics), ['"a":0', '"a":2', '"a":1', '"a":3']);
        assert.deepEqual(await store([[0, '"a":4']]).then(([ms]) => isNow(ms)), undefined);
    });

    it('that got the time of arrival is known when it comes again', async () => {
        await add(`${T + 1000}-0`, '"a":0');
        const batch = [[T, '"a":1'], [T, '"a":2'], [T + 1, '"a":1']];
        for (const ms of await store(batch)) await isNow(ms);
        assert.deepEqual(await store(batch), [0, 0, 0]);
        assert.deepEqual(await store([[T, '"a":1']]), [0]);
        assert.equal((await entries()).length, 4);
        assert.equal(await redis.call('HLEN', 'tr:back:r1'), 3);
        const ttl = await redis.call('PTTL', 'tr:back:r1');
        assert.ok(ttl > 3500e3 && ttl <= 3600e3, `${ttl}`);
    });

    it('that got the time of arrival is known also when its own has become right', async () => {
        const now = await scripts.now();
        const batch = [[now - 1000, '"a":1'], [now + 2500, '"a":2'], [now + 2600, '"a":2']];
        const first = await store(batch);
        assert.equal(first[0], now - 1000);
        await isNow(first[1]);
        assert.deepEqual(await store(batch, { latest: now + 5000 }), [0, 0, 0]);
        assert.deepEqual(await store(batch, { latest: now + 5000, note: 0 }), [0, 0, 0]);
        assert.equal(await redis.call('XLEN', KEY), 3);
    });

    it('does not hold up Redis, however many samples have its time', async () => {
        const same = (n, text) => Array.from({ length: n }, (_, i) => [T, `"${text}":${i}`]);
        for (let i = 0; i < 40; i++) await store(same(100, `n${i}`));
        await redis.call('CONFIG', 'RESETSTAT');
        assert.deepEqual(await store(same(100, 'n39')), same(100).map(() => 0)); // what came last is known
        await store(same(100, 'x'));
        assert.deepEqual(await store([...same(50, 'x'), ...same(50, 'y'), ...same(2, 'y')]),
            [...same(50).map(() => 0), ...same(50).map(() => T), 0, 0]);
        const [, most] = (await redis.call('INFO', 'commandstats')).match(/cmdstat_evalsha:.*usec_per_call=(\d+)/);
        assert.ok(Number(most) < 20e3, `${most} µs`);
    });

    it('from a robot whose clock is wrong leaves no more than a bounded trace', async () => {
        await add(`${T + 10000000}-0`, '"a":0');
        for (let i = 0; i < 25; i++) {
            const batch = Array.from({ length: 100 }, (_, k) => [T + i * 100 + k, '"a":1']);
            await store(batch);
            assert.deepEqual(await store(batch), batch.map(() => 0));
            assert.ok((await redis.call('HLEN', 'tr:back:r1')) <= 1000);
        }
        assert.equal(await redis.call('XLEN', KEY), 2501);
    });

    it('is not noted for a sample that came by itself', async () => {
        await add(`${T + 1000}-0`, '"a":0');
        await store([[T, '"a":1']], { note: 0 });
        await store([[T, '"a":1']], { note: 0 });
        assert.deepEqual(await store([[T + 1000, '"a":0']], { note: 0 }), [0]);
        assert.equal((await entries()).length, 3);
        assert.equal(await redis.call('EXISTS', 'tr:back:r1'), 0);
    });

    it('goes under the time of arrival when later entries are gone', async () => {
        const id = await add(`${T + 1000}-0`, '"a":0');
        await redis.call('XDEL', KEY, id);
        const [ms] = await store([[T, '"a":1']]);
        await isNow(ms);
    });

    it('goes behind what a clock that was ahead has left', async () => {
        const ahead = (await scripts.now()) + 3600e3;
        await add(`${ahead}-0`, '"a":0');
        assert.deepEqual(await store([[T, '"a":1'], [T + 1, '"a":2']]), [ahead, ahead]);
        assert.deepEqual((await entries()).map(([id]) => id), [`${ahead}-0`, `${ahead}-1`, `${ahead}-2`]);
    });

    it('keeps the stream as long as it may be', async () => {
        const batch = Array.from({ length: 100 }, (_, i) => [T + i, '"a":1']);
        for (let i = 0; i < 30; i++) await store(batch.map(([ms, text]) => [ms + 1000 * i, text]), { most: 500 });
        const length = await redis.call('XLEN', KEY);
        assert.ok(length >= 500 && length < 800, `${length}`);
    });

    it('is stored as a whole or not at all where Redis is full', async () => {
        await add(`${T}-0`, '"a":0');
        await redis.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
        await redis.call('CONFIG', 'SET', 'maxmemory', '1');
        try {
            await assert.rejects(store([[T, '"a":0'], [T + 1, '"a":1'], [T - 1, '"a":2']]), /OOM/);
        } finally {
            await redis.call('CONFIG', 'SET', 'maxmemory', '0');
        }
        assert.equal((await entries()).length, 1);
        assert.deepEqual(await store([[T, '"a":0'], [T + 1, '"a":1']]), [0, T + 1]);
    });

    it('leaves every sample once and in order, however it is cut and repeated', async () => {
        const dice = random(20260130);
        const all = Array.from({ length: 600 }, (_, i) => [T + 10 * Math.floor(i / 2), `"n":${i}`]);
        for (let at = 0; at < all.length;) {
            const n = Math.min(1 + Math.floor(dice.next() * 100), all.length - at);
            await store(all.slice(at, at + n));
            if (dice.next() < 0.3) continue; // the answer was lost
            if (dice.next() < 0.2) await store(all.slice(Math.max(0, at - 30), at + n)); // an old relay's
            at += n;
        }
        assert.deepEqual((await entries()).map(([id, text]) => [Number(id.split('-')[0]), text]), all);
    });
});
