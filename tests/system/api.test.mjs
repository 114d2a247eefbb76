// telerelay-api behind nginx: every endpoint, what it refuses, and walks through a living history.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { ApiRig, assertProblem } from './lib/api.mjs';
import { until } from './lib/wait.mjs';

const T = 1768473045123; // 2026-01-15T10:30:45.123Z

let rig;
before(async () => {
    rig = await ApiRig.start({ flags: { 'redis-ms': 5000 } });
});
after(() => rig?.stop());

// Many samples in few round trips.
async function fill(device, count, { start = T, every = 1000, data = (i) => `"battery":${i % 101},"cpu":${i}` } = {}) {
    for (let i = 0; i < count;) {
        const batch = [];
        for (; batch.length < 500 && i < count; i++) batch.push(rig.add(device, `${start + i * every}-0`, data(i)));
        await Promise.all(batch);
    }
}

describe('GET /api/telemetry', () => {
    before(async () => {
        await rig.redis.call('FLUSHALL');
        await rig.add('robot_01', `${T}-0`, '"battery":85,"cpu":38,"temperature":41.2,"signal":93');
        await rig.add('robot_01', `${T + 1}-0`, '"battery":84');
        await rig.add('robot_01', `${T + 1}-1`, '"cpu":1e-7,"volt":11.1,"amp":-0.5');
    });

    it('answers as the interface says, byte by byte', async () => {
        const { text, headers } = await rig.ok(`/api/telemetry?device_id=robot_01&to=${T}`);
        assert.equal(text, '{"items":[{"id":"1768473045123-0","device_id":"robot_01","timestamp":"2026-01-15T10:30:45.123Z",' +
            '"battery":85,"cpu":38,"temperature":41.2,"signal":93}],"count":1,"next_cursor":null}');
        assert.equal(headers['content-type'], 'application/json');
        assert.equal(headers['cache-control'], 'private, max-age=86400'); // over: nothing can come into it
        assert.equal((await rig.ok('/api/telemetry?device_id=robot_01')).headers['cache-control'], 'no-store');
        assert.equal(headers['x-content-type-options'], 'nosniff');
        assert.equal(headers.link, undefined);
    });

    it('orders by id, the newest first unless asked otherwise', async () => {
        const ids = async (query) => (await rig.ok(`/api/telemetry?device_id=robot_01${query}`)).json.items.map((item) => item.id);
        const ascending = [`${T}-0`, `${T + 1}-0`, `${T + 1}-1`];
        assert.deepEqual(await ids('&order=asc'), ascending);
        assert.deepEqual(await ids(''), [...ascending].reverse());
        assert.deepEqual(await ids('&order=desc'), [...ascending].reverse());
        assert.deepEqual(await ids('&limit=1'), [ascending[2]]);
    });

    it('takes times in every form, both ends included', async () => {
        const count = async (query) => (await rig.ok(`/api/telemetry?device_id=robot_01${query}`)).json.count;
        assert.equal(await count(`&from=${T}&to=${T}`), 1);
        assert.equal(await count(`&from=${T + 1}`), 2);
        assert.equal(await count('&from=2026-01-15T10:30:45.124Z'), 2);
        assert.equal(await count('&to=2026-01-15T12:30:45.123%2B02:00'), 1);
        assert.equal(await count('&to=2026-01-15T12:30:45.123+02:00'), 1);
        assert.equal(await count('&from=1768473045&to=1768473046'), 3);
        assert.equal(await count('&to=1768473045'), 0);
        assert.equal(await count('&from=1768473046'), 0);
        assert.equal(await count('&from=1960-01-01T00:00:00Z'), 3);
        assert.equal(await count('&to=1960-01-01T00:00:00Z'), 0);
        await rig.add('recent', `${Date.now() - 60000}-0`);
        const recent = async (query) => (await rig.ok(`/api/telemetry?device_id=recent${query}`)).json.count;
        assert.equal(await recent('&from=-15m&to=now'), 1);
        assert.equal(await recent('&from=-30s'), 0);
        assert.equal(await recent('&to=-2h'), 0);
        assert.equal(await recent('&from=-7d&to=-30s'), 1);
    });

    it('gives only the metrics asked for, in that order, and leaves out what is not there', async () => {
        const { json, text } = await rig.ok('/api/telemetry?device_id=robot_01&order=asc&fields=cpu,battery,nothing');
        assert.deepEqual(json.items.map(({ id, device_id, timestamp, ...metrics }) => metrics),
            [{ cpu: 38, battery: 85 }, { battery: 84 }, { cpu: 1e-7 }]);
        assert.match(text, /"timestamp":"[^"]+","cpu":38,"battery":85}/);
        const bare = await rig.ok('/api/telemetry?device_id=robot_01&fields=nothing&limit=1');
        assert.deepEqual(Object.keys(bare.json.items[0]), ['id', 'device_id', 'timestamp']);
    });

    it('writes CSV with the usual columns first and gaps left empty', async () => {
        const { text, headers } = await rig.ok('/api/telemetry?device_id=robot_01&order=asc&format=csv');
        assert.equal(headers['content-type'], 'text/csv; charset=utf-8');
        assert.equal(text, 'timestamp,device_id,battery,cpu,temperature,signal,amp,volt\r\n' +
            '2026-01-15T10:30:45.123Z,robot_01,85,38,41.2,93,,\r\n' +
            '2026-01-15T10:30:45.124Z,robot_01,84,,,,,\r\n' +
            '2026-01-15T10:30:45.124Z,robot_01,,1e-7,,,-0.5,11.1\r\n');
        const chosen = await rig.ok('/api/telemetry?device_id=robot_01&order=asc&format=csv&fields=volt,battery&limit=2');
        assert.equal(chosen.text, 'timestamp,device_id,volt,battery\r\n2026-01-15T10:30:45.123Z,robot_01,,85\r\n' +
            '2026-01-15T10:30:45.124Z,robot_01,,84\r\n');
        const rest = await rig.ok(/^<([^>]+)>; rel="next"$/.exec(chosen.headers.link)[1]);
        assert.equal(rest.text, 'timestamp,device_id,volt,battery\r\n2026-01-15T10:30:45.124Z,robot_01,11.1,\r\n');
        assert.equal(rest.headers.link, undefined);
        const times = await rig.ok('/api/telemetry?device_id=robot_01&order=asc&format=csv&fields=timestamp&limit=2');
        assert.equal((await rig.ok(/^<([^>]+)>; rel="next"$/.exec(times.headers.link)[1])).text,
            'timestamp,device_id\r\n2026-01-15T10:30:45.124Z,robot_01\r\n');
    });

    it('knows no unknown device: no samples, no error', async () => {
        const { json } = await rig.ok('/api/telemetry?device_id=nobody');
        assert.deepEqual(json, { items: [], count: 0, next_cursor: null });
        assert.equal((await rig.ok('/api/telemetry?device_id=nobody&format=csv')).text,
            'timestamp,device_id,battery,cpu,temperature,signal\r\n');
    });

    it('merges devices into one order', async () => {
        await rig.add('m_a', `${T}-0`, '"battery":1');
        await rig.add('m_b', `${T}-0`, '"battery":2');
        await rig.add('m_a', `${T + 2}-0`, '"battery":3');
        await rig.add('m_b', `${T + 1}-0`, '"battery":4');
        const batteries = async (query) => (await rig.ok(`/api/telemetry?${query}`)).json.items.map((item) => item.battery);
        assert.deepEqual(await batteries('device_id=m_b,m_a&order=asc'), [1, 2, 4, 3]);
        assert.deepEqual(await batteries('device_id=m_b&device_id=m_a'), [3, 4, 2, 1]);
        assert.deepEqual(await batteries('device_id=m_b&device_id=m_b,nobody'), [4, 2]);
        for (const order of ['asc', 'desc']) {
            const items = await rig.walk(`/api/telemetry?device_id=m_a,m_b&order=${order}&limit=1`);
            const expected = [1, 2, 4, 3];
            assert.deepEqual(items.map((item) => item.battery), order === 'asc' ? expected : [...expected].reverse());
        }
    });

    it('serves a large page in one piece', async () => {
        await fill('large', 10001, { data: (i) => `"battery":${i % 101},"m${i % 3}":${i}.25` });
        const { json } = await rig.ok('/api/telemetry?device_id=large&limit=10000&order=asc');
        assert.equal(json.count, 10000);
        assert.equal(json.items.length, 10000);
        json.items.forEach((item, i) => assert.equal(item.id, `${T + i * 1000}-0`));
        assert.notEqual(json.next_cursor, null);
        const csv = await rig.ok('/api/telemetry?device_id=large&limit=10000&order=asc&format=csv');
        assert.equal(csv.text.split('\r\n').length, 10002);
    });

    it('merges the most devices it takes', async () => {
        const names = Array.from({ length: 64 }, (_, i) => `many_${String(i).padStart(2, '0')}_${'x'.repeat(55)}`);
        await Promise.all(names.flatMap((name, i) => Array.from({ length: 30 }, (_, k) => rig.add(name, `${T + k}-${i}`))));
        const items = await rig.walk(`/api/telemetry?device_id=${names.join(',')}&limit=500&order=asc`, { byLink: true });
        assert.equal(items.length, 64 * 30);
        items.forEach((item, n) => assert.equal(item.id, `${T + Math.floor(n / 64)}-${n % 64}`));
    });

    it('skips what no relay would store', async () => {
        await rig.add('odd', `${T}-0`, '"battery":1');
        for (const [i, data] of ['{"battery":2}', '"battery":"x"', '"battery":3}],"evil":[{"a":1', 'x'.repeat(5000), '"battery":NaN'].entries())
            await rig.add('odd', `${T + 1 + i}-0`, data);
        await rig.redis.call('XADD', 'tr:tel:odd', `${T + 100}-0`, 'other', '1');
        await rig.redis.call('XADD', 'tr:tel:odd', `${T + 101}-0`, 'first', '1', 'd', '"battery":4');
        await rig.add('odd', `${T + 102}-0`, '');
        await rig.add('odd', `${T + 103}-0`, '"battery":5,"id":7,"timestamp":8');
        const items = await rig.walk('/api/telemetry?device_id=odd&order=asc&limit=2');
        assert.deepEqual(items.map((item) => item.battery), [1, 4, undefined, 5]);
        assert.equal(items[3].id, `${T + 103}-0`);
        assert.equal(items[3].timestamp, new Date(T + 103).toISOString());
        await rig.redis.call('SET', 'tr:tel:no_stream', 'x');
        assert.equal((await rig.ok('/api/telemetry?device_id=no_stream')).json.count, 0);
        assert.equal((await rig.ok('/api/telemetry?device_id=no_stream,odd&limit=10')).json.count, 4);
    });

    it('HEAD says the same without a body', async () => {
        const get = await rig.ok('/api/telemetry?device_id=robot_01');
        const head = await rig.ok('/api/telemetry?device_id=robot_01', { method: 'HEAD' });
        assert.equal(head.text, '');
        assert.equal(head.headers['content-type'], get.headers['content-type']);
        assert.equal(head.headers['content-length'], get.headers['content-length']);
    });
});

describe('walking a history that changes', () => {
    for (const order of ['asc', 'desc']) {
        for (const byLink of [false, true]) {
            it(`${order}, by ${byLink ? 'Link' : 'cursor'}: nothing twice, nothing skipped`, async () => {
                await rig.redis.call('FLUSHALL');
                const devices = ['w1', 'w2', 'w3'];
                for (const [i, device] of devices.entries()) await fill(device, 400, { start: T + i, every: 3 });
                const before = new Map(devices.map((device) => [device, []]));
                for (const device of devices) before.set(device, (await rig.redis.samples(device)).map((sample) => sample.id));
                let added = 0, trimmed = 0;
                const seen = await rig.walk(`/api/telemetry?device_id=${devices.join(',')}&order=${order}&limit=70`, {
                    byLink,
                    between: async () => {
                        for (const device of devices) await rig.add(device, `${T + 5000 + added++}-0`);
                        trimmed += 15;
                        await rig.redis.call('XTRIM', 'tr:tel:w2', 'MINID', `${T + trimmed * 3}`);
                    },
                });
                const key = (item) => `${item.id} ${item.device_id}`;
                assert.equal(new Set(seen.map(key)).size, seen.length, 'no sample twice');
                const compare = (a, b) => a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : a.device_id < b.device_id ? -1 : 1;
                const sorted = [...seen].sort(compare);
                assert.deepEqual(seen.map(key), (order === 'asc' ? sorted : [...sorted].reverse()).map(key), 'in order');
                const keys = new Set(seen.map(key));
                for (const device of devices) {
                    const left = new Set((await rig.redis.samples(device)).map((sample) => sample.id));
                    for (const id of before.get(device))
                        if (left.has(id)) assert.ok(keys.has(`${id} ${device}`), `${device} ${id} was skipped`);
                }
                if (order === 'asc') assert.ok(seen.length > 1200 - trimmed, 'new samples at the end are part of the walk');
            });
        }
    }

    it('a relative window stays the one of the first page', async () => {
        await rig.redis.call('FLUSHALL');
        const now = Date.now();
        for (let i = 0; i < 10; i++) await rig.add('win', `${now - 2500 + i * 100}-0`);
        const first = await rig.ok('/api/telemetry?device_id=win&from=-3s&limit=5');
        assert.equal(first.json.count, 5);
        await until(() => Date.now() > now + 700, 5000, 'the window has moved on');
        const second = await rig.ok(`/api/telemetry?device_id=win&from=-3s&limit=5&cursor=${first.json.next_cursor}`);
        assert.equal(second.json.count, 5);
        assert.equal(second.json.next_cursor, null);
    });

    it('refuses a cursor of the other order', async () => {
        const { json } = await rig.ok('/api/telemetry?device_id=win&limit=5');
        assertProblem(await rig.ask(`/api/telemetry?device_id=win&order=asc&cursor=${json.next_cursor}`), 400,
            'cursor belongs to a walk with order=desc');
    });
});

describe('bad requests', () => {
    it('unknown paths are 404', async () => {
        for (const target of ['/', '/api', '/api/', '/api/nothing', '/api/telemetry/', '/api/devices/', '/api/devices/a/b', '/livez/', '/api/%22x'])
            assertProblem(await rig.ask(target), 404, /^there is nothing at "/);
    });

    it('wrong methods are 405 and say which are right', async () => {
        for (const target of ['/api/telemetry', '/api/commands', '/api/events', '/api/devices', '/api/devices/x', '/api/battery-history/', '/livez', '/readyz', '/metrics']) {
            for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
                const answer = await rig.ask(target, { method, body: method === 'POST' ? 'x'.repeat(1000) : undefined });
                assertProblem(answer, 405, 'this path allows GET, HEAD');
                assert.equal(answer.headers.allow, 'GET, HEAD');
            }
        }
    });

    it('the workers live on', () => assert.equal(rig.api.workers().length, 4));
});

describe('devices', () => {
    const since = T - 5000;
    const free = { stop: { stopped: false, confirmed: false, by: null, timestamp: null }, control: { holder: null, epoch: 0 } };
    before(async () => {
        await rig.redis.call('FLUSHALL');
        const now = Date.now();
        await rig.redis.call('ZADD', 'tr:relays', now + 60000, 'wsd-1#aa', now - 1, 'wsd-2#bb');
        await rig.redis.call('ZADD', 'tr:devices', T, 'robot_02', T + 1, 'robot_01', T + 2, 'robot_03', T + 3, 'new one');
        await rig.redis.call('HSET', 'tr:dev:robot_01', 'name', 'Stair "climber" ä');
        await rig.redis.call('HSET', 'tr:online', 'robot_01', `7 ${since} wsd-1#aa wsd-1`, 'robot_03', `8 ${since} wsd-2#bb wsd-2`);
        await rig.add('robot_01', `${T + 9}-0`, '"battery":84,"volt":1.5');
        await rig.add('robot_02', `${T + 9000}-0`, '"battery":1');
    });

    it('lists all, sorted, with who is really online', async () => {
        const asked = Date.now();
        const { json } = await rig.ok('/api/devices');
        assert.equal(json.count, 3);
        const [one, two, three] = json.items;
        assert.deepEqual({ ...one, last_seen: null }, {
            device_id: 'robot_01', device_name: 'Stair "climber" ä', online: true, relay: 'wsd-1',
            connected_since: new Date(since).toISOString(), last_seen: null, ...free,
            telemetry: { timestamp: new Date(T + 9).toISOString(), battery: 84, volt: 1.5 },
        });
        assert.ok(Math.abs(Date.parse(one.last_seen) - asked) < 5000, 'online means seen now');
        assert.deepEqual(two, {
            device_id: 'robot_02', device_name: null, online: false, relay: null, connected_since: null,
            last_seen: new Date(T + 9000).toISOString(), ...free, telemetry: { timestamp: new Date(T + 9000).toISOString(), battery: 1 },
        });
        assert.deepEqual(three, {
            device_id: 'robot_03', device_name: null, online: false, relay: null, connected_since: null,
            last_seen: new Date(T + 2).toISOString(), ...free, telemetry: null,
        });
    });

    it('gives one', async () => {
        const { json } = await rig.ok('/api/devices/robot_02');
        assert.deepEqual(json, (await rig.ok('/api/devices')).json.items[1]);
        assert.equal((await rig.ok('/api/devices/robot_01')).json.online, true);
        assert.equal((await rig.ok('/api/devices/robot_03')).json.online, false);
    });

    it('404 for one that was never seen', async () => {
        assertProblem(await rig.ask('/api/devices/nobody'), 404, 'no device with this id was ever seen');
        assertProblem(await rig.ask('/api/devices/new%20one'), 404);
        assertProblem(await rig.ask(`/api/devices/${'x'.repeat(65)}`), 404);
        assertProblem(await rig.ask(`/api/devices/${'x'.repeat(1000)}`), 404);
    });

    it('is not led astray by what else stands in Redis', async () => {
        await rig.redis.call('HSET', 'tr:online', 'robot_02', 'nonsense', 'robot_01', `9 ${since} wsd-1#other wsd-1`);
        await rig.redis.call('HSET', 'tr:dev:robot_01', 'name', 'x');
        const { json } = await rig.ok('/api/devices');
        assert.deepEqual(json.items.map((item) => item.online), [false, false, false]);
    });

    it('lists many', async () => {
        const names = Array.from({ length: 1200 }, (_, i) => `fleet_${String(i).padStart(4, '0')}`);
        await rig.redis.call('ZADD', 'tr:devices', ...names.flatMap((name, i) => [T + i, name]));
        const { json } = await rig.ok('/api/devices');
        assert.equal(json.count, 1203);
        assert.deepEqual(json.items.map((item) => item.device_id), json.items.map((item) => item.device_id).sort());
    });
});

describe('GET /api/battery-history', () => {
    it('gives the last hundred with a battery, the oldest first, over all devices or one', async () => {
        await rig.redis.call('FLUSHALL');
        for (const target of ['/api/battery-history/', '/api/battery-history', '/api/battery-history/?device_id=b1'])
            assert.deepEqual((await rig.ok(target)).json, []);
        await fill('b1', 150, { every: 10, data: (i) => (i % 2 ? `"battery":${i % 100}` : '"cpu":1') });
        await fill('b2', 150, { start: T + 5, every: 10, data: (i) => `"cpu":2,"battery":${i % 100}.5` });
        await rig.redis.call('ZADD', 'tr:devices', 1, 'b1', 2, 'b2', 3, 'b3');
        const expected = [];
        for (let i = 0; i < 150; i++) {
            if (i % 2) expected.push([T + i * 10, i % 100]);
            expected.push([T + i * 10 + 5, (i % 100) + 0.5]);
        }
        assert.deepEqual((await rig.ok('/api/battery-history/')).json, expected.slice(-100));
        assert.deepEqual((await rig.ok('/api/battery-history')).json, expected.slice(-100));
        assert.deepEqual((await rig.ok('/api/battery-history/?device_id=b1')).json, expected.filter(([t]) => t % 10 === T % 10).slice(-100));
        assert.deepEqual((await rig.ok('/api/battery-history/?device_id=nobody')).json, []);
    });

    for (const [what, devices, each, more] of [['long histories', 3500, 16, ''], ['long samples', 10000, 1,
        Array.from({ length: 32 }, (_, i) => `,"${String(i).padStart(32, 'm')}":-1.2345678901234567e-100`).join('')]]) {
        it(`finds the hundred of the one robot that is used among thousands with ${what}`, async () => {
            await rig.redis.call('FLUSHALL');
            await rig.redis.call('EVAL', `for i = 2, ${devices} do
                redis.call('ZADD', 'tr:devices', i, 'old' .. i)
                for k = 1, ${each} do redis.call('XADD', 'tr:tel:old' .. i, k .. '-0', 'd', '"battery":1${more}') end
            end`, 0);
            await fill('used', 150);
            await rig.redis.call('ZADD', 'tr:devices', T, 'used');
            const expected = Array.from({ length: 100 }, (_, i) => [T + (i + 50) * 1000, (i + 50) % 101]);
            assert.deepEqual((await rig.ok('/api/battery-history/')).json, expected);
        });
    }
});

describe('health and metrics', () => {
    it('livez and healthz say ok', async () => {
        for (const target of ['/livez', '/healthz', '/livez?verbose']) {
            const { text, headers } = await rig.ok(target);
            assert.equal(text, 'ok\n');
            assert.match(headers['content-type'], /^text\/plain/);
        }
    });

    it('readyz depends on Redis and on a living relay', async () => {
        await rig.redis.call('FLUSHALL');
        const bad = await rig.ask('/readyz?verbose');
        assert.equal(bad.status, 503);
        assert.equal(bad.headers['retry-after'], '1');
        assert.equal(bad.text, '[+]redis ok\n[-]relays failed: none is alive\n[+]archive not configured\n');
        await rig.redis.call('ZADD', 'tr:relays', Date.now() - 10, 'wsd-1#aa');
        assert.equal((await rig.ask('/readyz')).status, 503);
        await rig.redis.call('ZADD', 'tr:relays', Date.now() + 60000, 'wsd-1#aa');
        assert.equal((await rig.ok('/readyz')).text, 'ok\n');
        assert.equal((await rig.ok('/readyz?verbose')).text, '[+]redis ok\n[+]relays ok\n[+]archive not configured\n');
    });

    it('metrics join the living relays and the workers', async () => {
        const now = Date.now();
        await rig.redis.call('ZADD', 'tr:relays', now + 60000, 'wsd-1#aa', now + 60000, 'wsd-2#bb', now - 1, 'wsd-3#cc');
        for (const name of ['wsd-1', 'wsd-2', 'wsd-3'])
            await rig.redis.call('SET', `tr:metrics:${name}`, `# HELP t_robots Robots.\n# TYPE t_robots gauge\nt_robots{relay="${name}"} 1\n`);
        const { text, headers } = await rig.ok('/metrics');
        assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
        assert.equal(text.match(/# TYPE t_robots gauge/g).length, 1);
        assert.match(text, /t_robots\{relay="wsd-1"\} 1\nt_robots\{relay="wsd-2"\} 1\n/);
        assert.doesNotMatch(text, /wsd-3/);
        assert.match(text, /^telerelay_api_relays 2$/m);
        assert.match(text, /^telerelay_api_redis_up 1$/m);
        assert.match(text, /^telerelay_api_workers 4$/m);
        const livez = (metrics) => Number(/^telerelay_api_requests_total\{route="livez",status="200"\} (\d+)$/m.exec(metrics)[1]);
        const count = livez(text);
        for (let i = 0; i < 20; i++) await rig.ok('/livez'); // by whichever worker
        assert.equal(livez((await rig.ok('/metrics')).text), count + 20);
        const types = text.match(/^# TYPE \S+/gm);
        assert.equal(new Set(types).size, types.length, 'each family once');
    });

    it('metrics are for this machine only', async () => {
        assertProblem(await rig.ask('/metrics', { headers: { 'X-Pretend': '192.0.2.7' } }), 403);
    });
});
