// Goal: the api's history is one series, whatever is in Redis and whatever in the archive, and whatever happens to either:
// no hole, no double, the right order, exact values. A random sequence of writes and faults; after each step random
// questions, and walks that go on through all of it, answered as a naive model of what was stored says.
//
//   SEED=N repeats a run's dice; SEAM_STEPS=N makes it longer (FAULTS_LONG=1: 600 steps).
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { SHAPES, Writer } from './lib/samples.mjs';
import { AuditTrail } from './lib/audit.mjs';
import { SAMPLES, World } from './lib/seam.mjs';
import { compare, differs, itemText, pairs, stepsDiffer } from './lib/series.mjs';
import { random, until } from './lib/wait.mjs';

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const LONG = process.env.FAULTS_LONG === '1';
const STEPS = Number(process.env.SEAM_STEPS ?? (LONG ? 600 : 50));
const DEVICES = ['a', 'b', 'c', 'robot_01'];
const AGGS = ['avg', 'min', 'max', 'last', 'count'];
const STEP_MS = { '1s': 1e3, '7s': 7e3, '10s': 1e4, '1m': 6e4, '5m': 3e5, '90s': 9e4, '1h': 36e5, '2h': 72e5, '1d': 864e5 };

class Run {
    walks = [];
    gaps = new Map(); // "DEVICE ID" of the last sample before each → the first one behind it
    kept = []; // answers that may be kept
    counts = { steps: 0, questions: 0, away: 0, pages: 0, archived: 0 };
    tried = {};

    constructor(kind, world, dice) {
        Object.assign(this, { kind, world, dice });
        this.writer = new Writer(dice, DEVICES);
        this.audit = new AuditTrail(world, dice);
    }

    chance(p) {
        return this.dice.next() < p;
    }

    between(low, high) {
        return low + this.dice.int(high - low + 1);
    }

    // ---- steps

    async write(most = 1500, all = false) {
        const entries = [];
        for (const device of DEVICES) if (all || this.chance(0.5)) entries.push(...this.writer.burst(device, this.chance(0.2) ? most : this.between(1, 60)));
        await this.world.write(entries);
    }

    // What can be done now: [name, weight, action].
    choices() {
        const { world, kind } = this;
        const part = () => this.dice.pick(world.archivers);
        const frozen = world.archivers.filter((one) => one.frozen);
        const all = [];
        const may = (name, weight, action) => all.push([name, weight, action]);
        if (!world.redisAway) {
            may('write', 8, () => this.write());
            may('write commands and events', 3, () => this.audit.write(this.between(1, 150)));
        }
        if (world.archivers.length < 2 && !world.redisAway) may('start an archiver', world.archivers.length ? 1 : 6, () => world.startArchiver(['--batch', String(this.dice.pick([100, 1000, 20000]))]));
        if (world.archivers.length > 0) {
            may('kill an archiver', 3, () => world.endArchiver(part(), 'SIGKILL', this.chance(0.7)));
            may('stop an archiver', 1, () => world.endArchiver(part(), 'SIGTERM'));
            if (frozen.length < world.archivers.length) may('freeze an archiver', 1, () => world.freezeArchiver(world.archivers.find((one) => !one.frozen)));
        }
        if (frozen.length > 0) may('thaw an archiver', 4, () => world.thawArchiver(frozen[0]));
        // A frozen one may hold a lock of the database's.
        if (world.archivers.length > 0 && frozen.length === 0 && !world.redisAway && !world.sqlBroken) may('wait for the archiver', 3, () => this.settled());
        if (!world.sqlBroken) {
            for (const how of kind === 'sqlite' ? ['move', ...(frozen.length ? [] : ['lock'])] : LONG ? ['stop', 'kill', 'freeze'] : ['stop', 'kill']) may(`the database goes: ${how}`, kind === 'sqlite' ? 1 : 0.5, () => world.sqlGoes(how));
        } else may(`the database is back: ${world.sqlBroken}`, 8, () => world.sqlReturns());
        // What a cap has removed could come back: the model does not know.
        if (!world.redisAway && !world.sqlBroken && !this.capped) may('Redis loses its end', 0.5, () => this.loseEnd());
        if (world.archivers.length === 0 && !world.redisAway && !world.sqlBroken) may('the hard cap', 2, () => this.cap());
        if (!world.redisAway) may('kill Redis', 1, () => world.killRedis());
        else may('restart Redis', 12, () => world.restartRedis());
        may('restart the api', 1, () => world.restartApi(this.dice.pick(['SIGTERM', 'SIGKILL'])));
        may('kill a worker of the api', 1, () => this.killWorker());
        return all;
    }

    // Redis comes back without the end of what it had acknowledged, as after a loss of power, and is written to at once. What
    // was archived is still there, and is answered at once, whether or not an archiver has looked.
    async loseEnd() {
        const { world } = this;
        if (this.chance(0.5)) for (const part of [...world.archivers]) await world.endArchiver(part, 'SIGKILL', true);
        for (const part of world.archivers.filter((one) => one.frozen)) world.thawArchiver(part);
        await world.killRedis();
        world.cutRedis(this.between(1, 20000));
        await world.restartRedis();
        await this.forget(DEVICES);
        await this.askAll();
        await world.redis.call('DEL', 'tr:archive', 'tr:archiver');
        await this.write(300, true);
        await this.askAll();
        if (world.archivers.length === 0) await world.startArchiver();
        await until(() => world.redis.call('EXISTS', 'tr:archive'), 10000, 'the archiver is at work again');
        await this.audit.write(1);
        await this.settled(); // so nothing that was read before is under way to the archive any more
        await this.forget([]);
        await this.audit.retain();
        this.kept = [];
        await this.askAll();
    }

    // The model forgets the samples that are nowhere: neither archived nor in the Redis streams of these devices.
    async forget(devices) {
        const stored = await this.world.stored(SAMPLES, devices);
        for (const device of DEVICES) this.world.series.retain(device, ({ ms, seq }) => stored.has(`${device} ${ms}-${seq}`));
    }

    // All of each device's history.
    async askAll() {
        for (const device of DEVICES)
            for (const order of ['asc', 'desc']) {
                const query = { devices: [device], order, limit: 10000, format: 'json' };
                const target = this.target(query);
                const answer = await until(() => this.world.question(target), 5000, this.fail(target, 'an answer'), 20);
                const reason = differs('json', answer, this.world.series.select(query));
                assert.equal(reason, null, this.fail(target, reason));
            }
    }

    // The relays' hard cap removes samples, archived or not.
    async cap() {
        const { world } = this;
        const device = this.dice.pick(DEVICES);
        await this.world.write(this.writer.burst(device, this.between(1, 1000)));
        const key = `tr:tel:${device}`;
        const last = (await world.positions())[device];
        await world.redis.call('XTRIM', key, 'MAXLEN', this.between(1, 1200));
        const kept = await world.stored(SAMPLES, [device]);
        const before = world.series.entries(device).length;
        world.series.retain(device, ({ ms, seq }) => kept.has(`${device} ${ms}-${seq}`));
        const [[first]] = await world.redis.call('XRANGE', key, '-', '+', 'COUNT', 1);
        this.capped = true;
        if (world.series.entries(device).length < before) this.gaps.set(`${device} ${last}`, first);
        this.kept = [];
    }

    // Each gap is in the archive, up to what was there when an archiver came back.
    async checkGaps() {
        const rows = await this.world.db.query('SELECT d.device_id, g.after_ms, g.after_seq, g.before_ms, g.before_seq FROM gaps g JOIN devices d ON d.id = g.device WHERE g.kind = 0');
        const found = new Map(rows.map(([device, ams, aseq, bms, bseq]) => [`${device} ${ams}-${aseq}`, `${bms}-${bseq}`]));
        for (const [after, before] of this.gaps) {
            if (after.endsWith(' undefined')) continue; // nothing was archived yet: not known to be a gap
            assert.equal(found.get(after), before, this.fail(after, `the gap behind it; there are ${JSON.stringify([...found])}`));
        }
    }

    async killWorker() {
        const { api } = this.world;
        const before = api.workers();
        const victim = this.dice.pick(before);
        process.kill(victim, 'SIGKILL');
        await until(() => api.workers().length === before.length && !api.workers().includes(victim), 5000, 'a new worker is there');
    }

    // Everything is archived, and trimmed as far as it may be.
    async settled() {
        await until(() => this.world.archived(), 20000, `the archiver has all; ${this.world.archivers.map((part) => part.log.slice(-1500)).join('\n')}`, 20);
        this.counts.archived++;
        this.capped = false;
    }

    async step() {
        const all = this.choices();
        let at = this.dice.next() * all.reduce((sum, [, weight]) => sum + weight, 0);
        const [name, , action] = all.find(([, weight]) => (at -= weight) < 0) ?? all.at(-1);
        this.history = [...(this.history ?? []).slice(-25), name];
        this.tried[name] = (this.tried[name] ?? 0) + 1;
        this.counts.steps++;
        const begin = performance.now();
        await action();
        if (process.env.SEAM_LOG) console.log(`${name}: ${(performance.now() - begin).toFixed(0)} ms`);
    }

    // ---- questions

    // A time that matters: of a sample, where Redis begins, where the archive ends, or next to one of those.
    async someTime() {
        const device = this.dice.pick(DEVICES);
        const entries = this.world.series.entries(device);
        const edge = this.chance(0.4) && !this.world.redisAway ? await this.world.redis.call('XRANGE', `tr:tel:${device}`, '-', '+', 'COUNT', 1) : [];
        const ms = edge.length > 0 ? Number(edge[0][0].split('-')[0]) : entries.length > 0 ? this.dice.pick(entries).ms : Date.now();
        return ms + this.dice.pick([0, 0, -1, 1, -1000, 1000, 60000 - (ms % 60000), -(ms % 3600000), this.dice.int(7200000) - 3600000]);
    }

    async someRange() {
        let from, to;
        if (this.chance(0.6)) from = await this.someTime();
        if (this.chance(0.6)) to = await this.someTime();
        if (from !== undefined && to !== undefined && from > to) [from, to] = [to, from];
        return { from, to };
    }

    someDevices() {
        const devices = DEVICES.filter(() => this.chance(0.5));
        if (this.chance(0.1)) devices.push('nobody');
        return devices.length > 0 ? devices : [this.dice.pick(DEVICES)];
    }

    someFields() {
        return this.chance(0.3) ? [...new Set(Array.from({ length: this.between(1, 4) }, () => this.dice.pick([...SHAPES.flat(), 'nothing'])))] : undefined;
    }

    async query() {
        const query = { devices: this.someDevices(), ...(await this.someRange()), order: this.dice.pick(['asc', 'desc']), fields: this.someFields() };
        query.limit = this.dice.pick([undefined, 1, 2, 10, 100, 1000, 1000, 10000, this.between(1, 3000)]);
        query.format = this.dice.pick(['json', 'json', 'ndjson', 'csv', 'columns']);
        return query;
    }

    target({ devices, from, to, order, fields, limit, format, cursor, ...more }) {
        const given = { device_id: devices.join(), from, to, order, fields: fields?.join(), limit, format, cursor, ...more };
        return `/api/telemetry?${Object.entries(given).filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${value}`).join('&')}`;
    }

    fail(target, why) {
        return `${why}\n${target}\nSEED=${SEED} ${this.kind}, step ${this.counts.steps}, after: ${this.history.join(', ')}`;
    }

    async askSamples() {
        const query = await this.query();
        const target = this.target(query);
        const answer = await this.world.question(target);
        if (!answer) return this.counts.away++;
        const streams = /csv|ndjson/.test(query.format) && query.from !== undefined && query.limit === undefined;
        const limit = streams ? Infinity : (query.limit ?? 100);
        const all = this.world.series.select({ ...query, limit: limit + 1 });
        const reason = differs(query.format, answer, all.slice(0, limit), query);
        assert.equal(reason, null, this.fail(target, reason));
        assert.equal(answer.headers.link !== undefined, all.length > limit, this.fail(target, 'Link where there is no next page, or none where there is'));
        if (answer.headers.etag) this.kept = [...this.kept.slice(-20), { query, target, answer, limit, etag: answer.headers.etag }];
        return this.counts.questions++;
    }

    // What was answered with an entity tag is still right when the api says that nothing has changed.
    async askAgain() {
        if (this.kept.length === 0) return;
        const { query, target, answer, limit, etag } = this.dice.pick(this.kept);
        const now = await this.world.question(target, { headers: { 'If-None-Match': etag }, statuses: [200, 304] });
        if (!now) return;
        const reason = differs(query.format, now.status === 304 ? answer : now, this.world.series.select({ ...query, limit }), query);
        assert.equal(reason, null, this.fail(target, `${now.status} for ${etag}: ${reason}`));
        this.counts[now.status === 304 ? 'unchanged' : 'asked anew'] = (this.counts[now.status === 304 ? 'unchanged' : 'asked anew'] ?? 0) + 1;
    }

    async askAudit() {
        const [target, check] = this.audit.question(await this.someRange());
        const answer = await this.world.question(target);
        if (!answer) return this.counts.away++;
        const reason = check(answer.json);
        assert.equal(reason, null, this.fail(target, reason));
        return this.counts.questions++;
    }

    async askSteps() {
        const aggs = AGGS.filter(() => this.chance(0.4));
        if (aggs.length === 0) aggs.push('avg');
        const query = { devices: this.someDevices(), ...(await this.someRange()), order: this.dice.pick(['asc', 'desc']), fields: this.someFields() };
        const length = query.from !== undefined && this.chance(0.3) ? { points: this.between(1, 500) } : { step: this.dice.pick(Object.keys(STEP_MS)) };
        const limit = this.chance(0.3) ? this.between(1, 200) : undefined;
        const items = [];
        let step;
        for (let target = this.target({ ...query, ...length, agg: aggs.join(), limit }); target;) {
            const answer = await this.world.question(target);
            if (!answer) return this.counts.away++;
            step ??= answer.json.step;
            if (answer.json.step !== step) assert.fail(this.fail(target, `step=${answer.json.step}, and ${step} on the first page`));
            items.push(...answer.json.items);
            target = answer.json.next_cursor && items.length < 5000 && this.target({ ...query, ...length, agg: aggs.join(), limit, cursor: answer.json.next_cursor });
        }
        const [, count, unit] = /^(\d+)([smhd])$/.exec(step);
        const steps = this.world.series.steps({ ...query, step: count * STEP_MS[`1${unit}`] })
            .filter(({ metrics }) => Object.keys(metrics).some((name) => !query.fields || query.fields.includes(name)));
        const reason = stepsDiffer(items, steps.slice(0, Math.max(items.length, 5000)), aggs, query.fields);
        assert.equal(reason, null, this.fail(this.target({ ...query, ...length, agg: aggs.join(), limit }), reason));
        return this.counts.questions++;
    }

    // ---- walks: each goes on by a page after every step

    async beginWalk() {
        const query = await this.query();
        this.walks.push({ query: { ...query, limit: this.dice.pick([50, 200, 1000, 3000]), format: 'json' }, after: null, byLink: this.chance(0.5), items: 0 });
    }

    async walkOn(walk) {
        const target = walk.next ?? this.target(walk.query);
        const answer = await this.world.question(target);
        if (!answer) return this.counts.away++;
        const { limit } = walk.query;
        const all = this.world.series.select({ ...walk.query, after: walk.after, limit: limit + 1 });
        const page = all.slice(0, limit);
        const reason = differs('json', answer, page, { fields: walk.query.fields });
        assert.equal(reason, null, this.fail(target, `page ${walk.items} of a walk: ${reason}`));
        assert.equal(answer.json.next_cursor !== null, all.length > limit, this.fail(target, 'a walk ends early or goes on'));
        walk.after = page.at(-1);
        walk.items++;
        walk.next = answer.json.next_cursor && (walk.byLink ? /^<([^>]+)>; rel="next"$/.exec(answer.headers.link)[1] : this.target({ ...walk.query, cursor: answer.json.next_cursor }));
        if (!walk.next) this.walks = this.walks.filter((one) => one !== walk);
        return this.counts.pages++;
    }

    // While samples are being written: none of those before is missing, and what is new is in its place.
    async askWhileWriting() {
        const { world } = this;
        const query = { devices: this.someDevices(), order: this.dice.pick(['asc', 'desc']), limit: 10000, format: 'json' };
        const target = this.target(query);
        const before = world.series.select(query);
        const writing = this.write(300);
        const answers = [];
        for (let i = 0; i < 3; i++) answers.push(await world.question(target));
        await writing;
        const after = new Map(world.series.select({ ...query, limit: Infinity }).map((entry) => [itemText(entry), entry]));
        for (const answer of answers.filter(Boolean)) {
            const items = answer.text.replace(/^\{"items":\[|\],"count".*$/g, '').split(/,(?=\{)/).filter(Boolean);
            const entries = items.map((text) => after.get(text));
            assert.ok(entries.every(Boolean), this.fail(target, `was never stored: ${items[entries.indexOf(undefined)]}`));
            const sign = query.order === 'asc' ? 1 : -1;
            for (let i = 1; i < entries.length; i++) assert.ok(sign * compare(entries[i - 1], entries[i]) < 0, this.fail(target, `${items[i]} is out of order, or comes twice`));
            const got = new Set(items);
            const end = answer.json.next_cursor === null ? Infinity : sign * entries.at(-1).ms;
            for (const entry of before) assert.ok(sign * entry.ms >= end || got.has(itemText(entry)), this.fail(target, `a hole: ${itemText(entry)}`));
            this.counts.questions++;
        }
    }

    async questions() {
        // One that is frozen is waited for, each time.
        const few = this.world.sqlBroken === 'freeze';
        for (let i = 0; i < (few ? 1 : 4); i++) await this.askSamples();
        for (let i = 0; i < (few ? 1 : 2); i++) await this.askSteps();
        for (let i = 0; i < (few ? 1 : 2); i++) await this.askAudit();
        await this.askAgain();
        if (this.chance(0.25) && !this.world.redisAway) await this.askWhileWriting();
        if (this.walks.length < 4 && this.chance(0.5)) await this.beginWalk();
        for (const walk of this.walks.slice(0, few ? 1 : 4)) await this.walkOn(walk);
    }

    async calm() {
        const { world } = this;
        if (world.redisAway) await world.restartRedis();
        if (world.sqlBroken) await world.sqlReturns();
        for (const part of world.archivers.filter((one) => one.frozen)) world.thawArchiver(part);
        if (world.archivers.length === 0) await world.startArchiver();
        await until(() => performance.now() >= world.calm, 5000, 'the dust settles');
    }
}

for (const kind of ['sqlite', 'postgres'])
    describe(`Redis and ${kind} as one history`, () => {
        it(`${STEPS} steps, SEED=${SEED}`, async () => {
            const world = await World.start(kind, { durable: true });
            try {
                const run = new Run(kind, world, random(SEED));
                while (world.series.entries('a').length < 2500) await world.write(run.writer.burst('a', 1500));
                await run.audit.write(20);
                for (let i = 0; i < STEPS; i++) {
                    await run.step();
                    await run.questions();
                }
                await run.calm();
                while (run.walks.length > 0) for (const walk of [...run.walks]) await run.walkOn(walk);
                await run.questions();
                const n = await world.verifyArchive();
                await run.checkGaps();
                let hot;
                await until(async () => {
                    hot = await Promise.all(DEVICES.map((device) => world.redis.call('XLEN', `tr:tel:${device}`)));
                    return hot.reduce((sum, length) => sum + length, 0) < n;
                }, 10000, 'some samples are in the archive only');
                console.log(`figure: ${kind}: ${n} samples, ${hot.join('+')} of them still in Redis; ${Object.entries(run.counts).map(([what, count]) => `${count} ${what}`).join(', ')}`);
                console.log(`# ${JSON.stringify(run.tried)}`);
            } finally {
                await world.stop();
            }
        });
    });

// What the tests themselves rely on.
it('the model tells a right answer from a wrong one', () => {
    const entry = { device: 'a', ms: 1768473045123, seq: 0, text: '"battery":85,"cpu":1e-7' };
    const page = (items) => ({ text: `{"items":[${items}],"count":${items.length},"next_cursor":null}` });
    assert.equal(differs('json', page([itemText(entry)]), [entry]), null);
    assert.match(differs('json', page([]), [entry]), /entry 0 of 1/);
    assert.match(differs('json', page([itemText(entry), itemText(entry)]), [entry]), /too many/);
    assert.match(differs('json', page([itemText({ ...entry, text: '"battery":85,"cpu":0.0000001' })]), [entry]), /entry 0 of 1/);
    assert.deepEqual(pairs(entry.text), [['battery', '85'], ['cpu', '1e-7']]);
});
