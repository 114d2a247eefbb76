// Aggregated histories against a model: samples that are partly in the archive, partly in Redis, partly in both.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { ApiRig, assertProblem } from './lib/api.mjs';
import { fillArchive } from './lib/archive.mjs';
import { random } from './lib/wait.mjs';

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const T = Date.parse('2026-01-15T10:30:45.123Z');
const USUAL = ['battery', 'cpu', 'temperature', 'signal'];
const AGGS = ['avg', 'min', 'max', 'last', 'count'];

let rig, database;
const world = new Map(); // device id → [{id, ms, metrics}], ascending

const dice = random(20260115);
const text = (metrics) => JSON.stringify(metrics).slice(1, -1);
const entry = (device, sample) => ['samples', device, sample.id, text(sample.metrics)];

// Multiples of an eighth: sums of them are exact in whatever order they are made.
function someSamples(count, start, gap) {
    const samples = [];
    let ms = start, seq = 0;
    for (let i = 0; i < count; i++) {
        const metrics = {};
        for (const name of [...USUAL, 'volt']) if (dice.int(5) > 0) metrics[name] = (dice.int(801) - 200) / 8;
        const step = dice.int(40) === 0 ? 0 : dice.int(300) === 0 ? dice.int(5 * HOUR) : dice.int(gap);
        seq = step ? 0 : seq + 1;
        ms += step;
        samples.push({ id: `${ms}-${seq}`, ms, metrics });
    }
    return samples;
}

async function addToRedis(device, samples) {
    for (let i = 0; i < samples.length; i += 500)
        await Promise.all(samples.slice(i, i + 500).map((sample) => rig.add(device, sample.id, text(sample.metrics))));
}

const valueOf = (values, agg) => ({
    avg: () => values.reduce((sum, value) => sum + value, 0) / values.length,
    min: () => Math.min(...values),
    max: () => Math.max(...values),
    last: () => values.at(-1),
    count: () => values.length,
})[agg]();

// The items of the whole range, ascending.
function model({ devices, from = 0, to = Infinity, step, aggs = ['avg'], fields }) {
    const rows = new Map();
    for (const device of [...devices].sort()) {
        for (const { ms, metrics } of world.get(device) ?? []) {
            if (ms < from || ms > to) continue;
            const bucket = ms - (ms % step);
            for (const [name, value] of Object.entries(metrics)) {
                if (fields && !fields.includes(name)) continue;
                const key = `${String(bucket).padStart(15, '0')} ${device}`;
                if (!rows.has(key)) rows.set(key, { bucket, device, values: new Map() });
                const { values } = rows.get(key);
                values.set(name, [...(values.get(name) ?? []), value]);
            }
        }
    }
    const order = fields ?? [...USUAL, 'volt'];
    return [...rows.keys()].sort().map((key) => {
        const { bucket, device, values } = rows.get(key);
        const item = { device_id: device, timestamp: new Date(bucket).toISOString() };
        for (const name of order.filter((one) => values.has(one)))
            for (const agg of aggs) item[aggs.length > 1 ? `${name}_${agg}` : name] = valueOf(values.get(name), agg);
        return item;
    });
}

const target = ({ devices, from, to, step, points, aggs, fields, order, limit, format }) => {
    const parts = { device_id: devices.join(','), from, to, step: step && `${step / SECOND}s`, points, agg: aggs?.join(','), fields: fields?.join(','), order, limit, format };
    return `/api/telemetry?${Object.entries(parts).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`).join('&')}`;
};

const inOrder = (items, order) => (order === 'asc' ? items : [...items].reverse());

async function agrees(query) {
    const { json } = await rig.ok(target(query));
    const want = inOrder(model(query), query.order);
    assert.ok(want.length <= 10000 && json.items.length === want.length, `${target(query)}: ${json.items.length} instead of ${want.length}`);
    json.items.forEach((item, i) => assert.deepEqual(Object.entries(item), Object.entries(want[i]), `${target(query)}: item ${i}`));
    assert.equal(json.count, want.length);
    assert.equal(json.next_cursor, null);
    return json;
}

before(async () => {
    rig = await ApiRig.start();
    database = `sqlite:${path.join(rig.dir, 'archive.db')}`;
    await rig.api.stop();
    // seam: in both for a while; old: all in the archive, one left in Redis; hot: never archived; gone: not in Redis at all.
    world.set('seam', someSamples(3000, T - 4 * DAY, 4 * MINUTE));
    world.set('old', someSamples(2500, T - 5 * DAY, 3 * MINUTE));
    world.set('hot', someSamples(800, T - DAY, 2 * MINUTE));
    world.set('gone', someSamples(1000, T - 60 * DAY, 40 * MINUTE));
    await fillArchive(database, world.get('seam').slice(0, 2200).map((sample) => entry('seam', sample)));
    await fillArchive(database, ['old', 'gone'].flatMap((device) => world.get(device).map((sample) => entry(device, sample))));
    await addToRedis('seam', world.get('seam').slice(1500));
    await addToRedis('old', world.get('old').slice(-1));
    await addToRedis('hot', world.get('hot'));
    rig.api = await rig.startApi('api', { 'archive-database': database, 'archive-keep-samples-d': 0 });
});
after(() => rig?.stop());

describe('step', () => {
    const devices = ['gone', 'hot', 'old', 'seam'];

    it('answers byte by byte as the interface says', async () => {
        await rig.add('plain', `${T}-0`, '"battery":85,"cpu":38,"volt":1.5');
        await rig.add('plain', `${T + 1000}-0`, '"battery":84,"cpu":40');
        const { text: body, headers } = await rig.ok(`/api/telemetry?device_id=plain&step=1m`);
        assert.equal(body, '{"items":[{"device_id":"plain","timestamp":"2026-01-15T10:30:00.000Z","battery":84.5,"cpu":39,"volt":1.5}],' +
            '"count":1,"next_cursor":null,"step":"1m"}');
        assert.equal(headers['content-type'], 'application/json');
        assert.equal(headers.link, undefined);
    });

    for (const step of [SECOND, 30 * SECOND, MINUTE, 90 * SECOND, 5 * MINUTE, 15 * MINUTE, HOUR, 90 * MINUTE, 2 * HOUR, DAY, 7 * DAY]) {
        it(`of ${step / SECOND} s: every aggregate of every device, whatever the range`, async () => {
            for (const device of devices) {
                const samples = world.get(device), first = samples[0].ms, last = samples.at(-1).ms;
                for (let round = 0; round < 6; round++) {
                    const from = first + dice.int(last - first), to = from + dice.int(Math.min(last - from + DAY, 9000 * step));
                    await agrees({ devices: [device], from, to, step, aggs: round % 2 ? AGGS : [AGGS[dice.int(5)]], order: dice.pick(['asc', 'desc']) });
                }
            }
            if (step >= 15 * MINUTE) await agrees({ devices, step, aggs: ['max', 'avg'], order: 'asc' });
        });
    }

    it('takes both ends of the range exactly', async () => {
        const samples = world.get('seam');
        for (const i of [3, 1499, 1500, 1501, 2199, 2200, 2201]) {
            for (const [from, to] of [[0, 0], [1, 0], [0, 1], [0, -1], [1, 1], [-1, 1]]) {
                const range = { from: samples[i - 1].ms + from, to: samples[i + 1].ms + to };
                await agrees({ devices: ['seam'], ...range, step: HOUR, aggs: AGGS });
                await agrees({ devices: ['seam'], ...range, step: SECOND, aggs: ['count'] });
            }
        }
        for (const whole of [MINUTE, HOUR]) {
            const from = T - 3 * DAY - ((T - 3 * DAY) % whole);
            for (const shift of [-1, 0, 1])
                await agrees({ devices: ['seam', 'old'], from: from + shift, to: from + 5 * whole + shift, step: whole, aggs: AGGS });
        }
    });

    it('aggregates only the fields asked for, in that order', async () => {
        await agrees({ devices, from: T - 2 * DAY, to: T, step: HOUR, fields: ['volt', 'cpu'], aggs: ['last', 'min'] });
        await agrees({ devices, from: T - 2 * DAY, to: T, step: HOUR, fields: ['nothing'] });
    });

    it('agg may be a list, repeated, and asked for twice', async () => {
        const { json } = await rig.ok('/api/telemetry?device_id=plain&step=1m&agg=max,min&agg=max&agg=count&fields=cpu');
        assert.deepEqual(Object.entries(json.items[0]).slice(2), [['cpu_max', 40], ['cpu_min', 38], ['cpu_count', 2]]);
    });

    it('knows empty ranges and unknown devices', async () => {
        for (const query of ['device_id=nobody&step=1h', 'device_id=seam&step=1h&to=5', 'device_id=old,seam&step=1s&from=now',
            'device_id=seam&step=1m&to=1960-01-01T00:00:00Z', 'device_id=nobody&from=-1h&points=10']) {
            const { json } = await rig.ok(`/api/telemetry?${query}`);
            assert.deepEqual({ ...json, step: null }, { items: [], count: 0, next_cursor: null, step: null });
        }
        const { json } = await rig.ok('/api/telemetry?device_id=nobody&step=1h&format=columns');
        assert.deepEqual(json, { fields: ['timestamp', ...USUAL], units: ['s', '%', '%', '°C', '%'], data: [[], [], [], [], []], count: 0, next_cursor: null, step: '1h' });
        assert.equal((await rig.ok('/api/telemetry?device_id=nobody&step=1h&format=csv')).text, 'timestamp,device_id,battery,cpu,temperature,signal\r\n');
        assert.equal((await rig.ok('/api/telemetry?device_id=nobody&step=1h&format=ndjson')).text, '');
    });

    it('counts no junk', async () => {
        await rig.add('junk', `${T}-0`, '"battery":1');
        for (const [i, data] of ['{"battery":2}', '"battery":"x"', '"battery":NaN', '', '"battery":1e999', '"id":5,"timestamp":6'].entries())
            await rig.add('junk', `${T + 1 + i}-0`, data);
        await rig.redis.call('XADD', 'tr:tel:junk', `${T + 100}-0`, 'other', '1');
        const { json } = await rig.ok('/api/telemetry?device_id=junk&step=1h&agg=count');
        assert.deepEqual(json.items, [{ device_id: 'junk', timestamp: '2026-01-15T10:00:00.000Z', battery: 1 }]);
    });
});

describe('points', () => {
    it('has as many buckets as asked for at most, and as many as the ladder allows', async () => {
        const to = world.get('seam').at(-1).ms;
        for (const [points, from, step] of [[500, to - 4 * DAY, '15m'], [10, to - 4 * DAY, '12h'], [1000, to - HOUR, '5s'], [1, to - 2, '1s']]) {
            const { json } = await rig.ok(`/api/telemetry?device_id=seam&from=${from}&to=${to}&points=${points}&order=asc`);
            if (points > 1) assert.equal(json.step, step);
            assert.ok(json.count <= points, `${json.count} for ${points}`);
            const ms = { s: SECOND, m: MINUTE, h: HOUR, d: DAY }[json.step.at(-1)] * parseInt(json.step, 10);
            assert.deepEqual(json.items, model({ devices: ['seam'], from, to, step: ms }));
        }
    });

    it('a relative range keeps its step from page to page', async () => {
        const samples = someSamples(100, Date.now() - 50 * MINUTE, 30 * SECOND);
        world.set('recent', samples.filter(({ ms }) => ms < Date.now()));
        await addToRedis('recent', world.get('recent'));
        const items = await rig.walk('/api/telemetry?device_id=recent&from=-1h&points=61&limit=7', { byLink: true });
        assert.deepEqual(items, model({ devices: ['recent'], step: MINUTE }).reverse());
    });
});

describe('formats', () => {
    const query = { devices: ['seam', 'hot'], from: T - DAY + 12345, to: T - 3 * HOUR, step: HOUR, aggs: ['avg', 'count'] };
    const names = (item) => Object.keys(item).slice(2);
    const all = [...USUAL, 'volt'].flatMap((name) => [`${name}_avg`, `${name}_count`]);

    it('ndjson: an item a line', async () => {
        const { text: body, headers } = await rig.ok(target({ ...query, format: 'ndjson', order: 'asc' }));
        assert.equal(headers['content-type'], 'application/x-ndjson');
        assert.equal(body, model(query).map((item) => `${JSON.stringify(item)}\n`).join(''));
    });

    it('csv: a line a bucket, empty where there is no value', async () => {
        const { text: body, headers } = await rig.ok(target({ ...query, format: 'csv' }));
        const lines = model(query).reverse().map((item) => [item.timestamp, item.device_id, ...all.map((name) => item[name] ?? '')].join(','));
        assert.equal(body, [`timestamp,device_id,${all.join(',')}`, ...lines, ''].join('\r\n'));
        assert.equal(headers['content-type'], 'text/csv; charset=utf-8');
        const chosen = await rig.ok(target({ ...query, format: 'csv', fields: ['cpu'], aggs: undefined, order: 'asc', limit: 1 }));
        assert.match(chosen.text, /^timestamp,device_id,cpu\r\n[^\r]*\r\n$/);
        assert.match(chosen.headers.link, /agg=avg.*step=3600s.*rel="next"/);
    });

    for (const order of ['asc', 'desc']) {
        it(`columns (order=${order}): ascending, a row for every bucket between the first and the last`, async () => {
            const { json } = await rig.ok(target({ ...query, format: 'columns', order }));
            const items = model(query);
            const first = Date.parse(items[0].timestamp), rows = (Date.parse(items.at(-1).timestamp) - first) / HOUR + 1;
            assert.deepEqual(json.fields, ['timestamp', ...['hot', 'seam'].flatMap((device) => all.map((name) => `${device}.${name}`))]);
            const units = { battery: '%', cpu: '%', temperature: '°C', signal: '%', volt: '' };
            assert.deepEqual(json.units, ['s', ...[1, 2].flatMap(() => [...USUAL, 'volt'].flatMap((name) => [units[name], '']))]);
            assert.deepEqual(json.data[0], Array.from({ length: rows }, (_, i) => (first + i * HOUR) / 1000));
            assert.equal(json.count, rows);
            json.fields.slice(1).forEach((field, i) => {
                const [device, name] = field.split('.');
                const want = json.data[0].map((at) => items.find((item) => item.device_id === device && Date.parse(item.timestamp) === at * 1000)?.[name] ?? null);
                assert.deepEqual(json.data[i + 1], want, field);
            });
            assert.deepEqual([json.next_cursor, json.step], [null, '1h']);
        });
    }

    it('columns: a gap is null, whole pages and all', async () => {
        const rows = [0, 1, 2, 50, 51, 500].map((minute) => ({ id: `${T + minute * MINUTE}-0`, ms: T + minute * MINUTE, metrics: { battery: minute } }));
        world.set('gappy', rows);
        await addToRedis('gappy', rows);
        const whole = (await rig.ok('/api/telemetry?device_id=gappy&step=1m&format=columns&fields=battery')).json;
        assert.equal(whole.count, 501);
        assert.deepEqual(whole.data[1].map((value, i) => [i, value]).filter(([, value]) => value !== null).map(([i, value]) => value - i), [0, 0, 0, 0, 0, 0]);
        for (const order of ['asc', 'desc']) {
            const seen = [];
            let cursor = '';
            do {
                const { json } = await rig.ok(`/api/telemetry?device_id=gappy&step=1m&format=columns&fields=battery&limit=20&order=${order}${cursor}`);
                assert.ok(json.count <= 20 && json.data.every((column) => column.length === json.count));
                const page = json.data[0].map((at, i) => [at, json.data[1][i]]);
                seen.push(...(order === 'asc' ? page : page.reverse()));
                cursor = json.next_cursor ? `&cursor=${json.next_cursor}` : null;
            } while (cursor);
            const values = (order === 'asc' ? seen : seen.reverse()).map(([, value]) => value);
            assert.deepEqual(values.filter((value, i) => value !== null || values[i - 1] !== null), [0, 1, 2, null, 50, 51, null, 500]);
        }
    });

    it('a range that is over has a tag: of its step, its aggregates and its format', async () => {
        const over = { devices: ['hot'], from: world.get('hot')[0].ms, to: world.get('hot').at(-2).ms, step: HOUR };
        const variants = [over, { ...over, step: 2 * HOUR }, { ...over, aggs: ['max'] }, { ...over, aggs: ['max', 'min'] }, { ...over, format: 'csv' },
            { ...over, points: 5, step: undefined }, { ...over, fields: ['cpu'] }];
        const tags = [];
        for (const variant of variants) {
            const { headers } = await rig.ok(target(variant));
            assert.match(headers['cache-control'], /max-age/);
            // Strong but for averages: a sum of roll-ups may have another last digit.
            assert.match(headers.etag, variant.aggs ? /^"[0-9a-f]{16}"$/ : /^W\/"[0-9a-f]{16}"$/);
            tags.push(headers.etag);
            const again = await rig.ask(target(variant), { headers: { 'If-None-Match': headers.etag } });
            assert.deepEqual([again.status, again.text], [304, '']);
        }
        assert.equal(new Set(tags).size, variants.length, tags.join(' '));
        const repeated = `${target(over)}&agg=max&agg=min`;
        assert.equal((await rig.ok(repeated)).headers.etag, tags[3]);
        for (const open of [{ ...over, to: undefined }, { ...over, to: world.get('hot').at(-1).ms }])
            assert.equal((await rig.ok(target(open))).headers.etag, undefined);
    });

    it('HEAD says the same without a body', async () => {
        const get = await rig.ok(target(query)), head = await rig.ok(target(query), { method: 'HEAD' });
        assert.equal(head.text, '');
        assert.equal(head.headers['content-length'], get.headers['content-length']);
    });
});

describe('walks', () => {
    for (const order of ['asc', 'desc']) {
        for (const [step, limit] of [[SECOND, 100], [90 * SECOND, 97], [15 * MINUTE, 50], [HOUR, 7]]) {
            it(`${order}, steps of ${step / SECOND} s, ${limit} a page: together they are the whole, while samples arrive and move`, async () => {
                const tide = `tide_${order}_${step}`, samples = someSamples(1500, T - 2 * DAY, 3 * MINUTE);
                world.set(tide, samples);
                await addToRedis(tide, samples);
                const [from, to] = step < MINUTE ? [T - 8 * HOUR + 1, T - 1] : [T - 3 * DAY + 1, T - 12345];
                const query = { devices: ['old', 'seam', tide], from, to, step, aggs: ['avg', 'last', 'count'], order, limit };
                let moved = 0, added = 0;
                const items = await rig.walk(target(query), {
                    byLink: step === HOUR,
                    between: async () => {
                        await rig.add(tide, `${T + 30 * DAY + ++added}-0`, '"battery":1');
                        await fillArchive(database, samples.slice(moved, moved + 300).map((sample) => entry(tide, sample)));
                        moved = Math.min(moved + 300, samples.length);
                        await rig.redis.call('XTRIM', `tr:tel:${tide}`, 'MINID', samples[moved - 1].id);
                    },
                });
                assert.deepEqual(items, inOrder(model(query), order));
                assert.ok(items.length > 3 * limit, `${items.length} items`);
            });
        }
    }

    it('without a range: from the first sample to the last', async () => {
        const query = { devices: ['gone', 'old'], step: 15 * MINUTE, limit: 500 };
        for (const order of ['asc', 'desc'])
            assert.deepEqual(await rig.walk(target({ ...query, order })), inOrder(model(query), order));
        const days = { devices: ['gone'], step: MINUTE, limit: 1, from: world.get('gone')[0].ms, to: world.get('gone')[20].ms };
        assert.deepEqual(await rig.walk(target(days)), model(days).reverse());
    });

    it('a cursor is of one step, and of buckets', async () => {
        const cursorOf = async (query) => (await rig.ok(`/api/telemetry?device_id=seam&limit=3&${query}`)).json.next_cursor;
        const hour = await cursorOf('step=1h'), raw = await cursorOf('order=desc');
        const ask = (query) => rig.ask(`/api/telemetry?device_id=seam&${query}`);
        assertProblem(await ask(`step=2h&cursor=${hour}`), 400, 'cursor belongs to a walk with step=1h');
        assertProblem(await ask(`cursor=${hour}`), 400, 'cursor belongs to a walk with step=1h');
        assertProblem(await ask(`step=1h&order=asc&cursor=${hour}`), 400, 'cursor belongs to a walk with order=desc');
        assertProblem(await ask(`step=1h&cursor=${raw}`), 400, 'cursor belongs to a walk without step and points');
        assertProblem(await ask(`from=-1h&points=5&cursor=${raw}`), 400, 'cursor belongs to a walk without step and points');
        assert.equal((await ask(`step=60m&cursor=${hour}`)).status, 200);
        assert.equal((await ask(`step=60m&format=columns&agg=max&cursor=${hour}`)).status, 200);
    });
});

describe('while samples move from Redis to the archive', () => {
    it('each counts once, in every answer', async () => {
        const all = someSamples(3000, T, 2 * MINUTE).map((sample) => ({ ...sample, metrics: { battery: 1, ...sample.metrics } }));
        let added = 0, archived = 0, moving = true;
        const add = async () => {
            while (added < all.length) {
                const piece = all.slice(added, added + 100);
                await addToRedis('moving', piece);
                added += piece.length;
            }
        };
        const move = async () => {
            while (archived < all.length) {
                const piece = all.slice(archived, Math.min(added, archived + 150));
                if (piece.length === 0) {
                    await new Promise((resolve) => setImmediate(resolve));
                    continue;
                }
                await fillArchive(database, piece.map((sample) => entry('moving', sample)));
                archived += piece.length;
                await rig.redis.call('XTRIM', 'tr:tel:moving', 'MINID', all[archived - 1].id);
            }
            moving = false;
        };
        const look = async (query) => {
            let looks = 0;
            while (moving || looks < 3) {
                const least = added;
                const { json } = await rig.ok(`/api/telemetry?device_id=moving&agg=count&fields=battery&${query}`);
                const counted = json.items.reduce((sum, { battery }) => sum + battery, 0);
                assert.ok(least <= counted && counted <= Math.min(added + 100, all.length), `${query}: ${counted} of ${least}..${added}`);
                looks++;
            }
            assert.equal((await rig.ok(`/api/telemetry?device_id=moving&agg=count&fields=battery&${query}`)).json.items
                .reduce((sum, { battery }) => sum + battery, 0), all.length);
        };
        await Promise.all([add(), move(), look('step=1h'), look('step=1m'), look('step=30s'), look(`from=${T}&to=${all.at(-1).ms}&points=20`)]);
        world.set('moving', all);
        await agrees({ devices: ['moving'], step: 15 * MINUTE, aggs: AGGS });
    });
});

describe('roll-ups that are kept for a shorter time than samples', () => {
    it('are not missed', async () => {
        const device = 'old_minutes', start = Math.floor(Date.now() / HOUR) * HOUR - 5 * DAY, file = `${rig.dir}/short.db`;
        const samples = Array.from({ length: 4 * 24 * 6 }, (_, i) => ({ id: `${start + i * 10 * MINUTE}-0`, ms: start + i * 10 * MINUTE, metrics: { battery: i % 64 } }));
        await fillArchive(`sqlite:${file}`, samples.map((sample) => entry(device, sample)));
        world.set(device, samples);
        execFileSync('sqlite3', ['-batch', file, `DELETE FROM minutes WHERE t < ${Date.now() - 2 * DAY}; DELETE FROM hours WHERE t < ${Date.now() - 3 * DAY}`]);
        const api = await rig.startApi('short', { 'archive-database': `sqlite:${file}`, 'archive-keep-samples-d': 0, 'archive-keep-minutes-d': 2, 'archive-keep-hours-d': 3 });
        const port = await rig.startNginx(rig.socket('short'));
        for (const step of [MINUTE, 30 * MINUTE, HOUR, DAY]) {
            const { json } = await rig.ok(`/api/telemetry?device_id=${device}&order=asc&step=${step / MINUTE}m&agg=avg,count&from=${start}`, { port });
            assert.deepEqual(json.items, model({ devices: [device], from: start, step, aggs: ['avg', 'count'] }), `${step}`);
        }
        assert.equal((await api.stop()).code, 0);
    });
});

describe('without an archive', () => {
    let port, api;
    before(async () => {
        api = await rig.startApi('alone');
        port = await rig.startNginx(rig.socket('alone'));
    });
    after(() => api?.stop());

    it('all of it comes from the samples in Redis', async () => {
        for (const step of [SECOND, MINUTE, HOUR, DAY]) {
            const query = { devices: ['hot'], to: T - 1, step, aggs: AGGS };
            const { json } = await rig.ok(target(query), { port });
            assert.deepEqual(json.items, model(query).reverse());
        }
        const items = (await rig.ok(target({ devices: ['seam'], step: HOUR, aggs: ['count'], fields: ['cpu'] }), { port })).json.items;
        assert.equal(items.reduce((sum, { cpu }) => sum + cpu, 0), world.get('seam').slice(1500).filter(({ metrics }) => 'cpu' in metrics).length);
    });
});

describe('with an archive that is away', () => {
    let port, api;
    before(async () => {
        api = await rig.startApi('away', { 'archive-database': `sqlite:${rig.dir}/nothing/here.db`, 'archive-ms': 500 });
        port = await rig.startNginx(rig.socket('away'));
    });
    after(() => api?.stop());

    it('says so where it is needed', async () => {
        for (const step of [SECOND, HOUR]) {
            const answer = await rig.ask(target({ devices: ['old'], from: T - 5 * DAY, to: T - 4 * DAY, step }), { port });
            assertProblem(answer, 503, /archive/);
            assert.ok(Number(answer.headers['retry-after']) > 0);
        }
    });

    it('and answers where all is in Redis', async () => {
        const query = { devices: ['hot'], from: world.get('hot')[0].ms, to: T - 1, step: HOUR, aggs: AGGS };
        const { json } = await rig.ok(target(query), { port });
        assert.deepEqual(json.items, model(query).reverse());
        for (const order of ['asc', 'desc']) // where samples begin and end is looked for first
            assert.deepEqual((await rig.ok(target({ ...query, order, limit: 2 }), { port })).json.items, inOrder(model(query), order).slice(0, 2));
    });
});

describe('too much', () => {
    it('a table that would be too large is refused', async () => {
        await rig.add('far', `${T}-0`, '"battery":1');
        await rig.add('far', `${T + 9990 * MINUTE}-0`, '"battery":1');
        const many = ['far', ...Array.from({ length: 40 }, (_, i) => `far_${i}`)].join(',');
        assertProblem(await rig.ask(`/api/telemetry?device_id=${many}&step=1m&format=columns&agg=avg,min,max`), 400,
            /^this table would be too large; choose a larger step or fewer points/);
        assert.equal((await rig.ok(`/api/telemetry?device_id=far&step=1m&format=columns&agg=avg,min,max`)).json.count, 9991);
    });

    it('the workers live on', () => assert.equal(rig.api.workers().length, 4));
});
