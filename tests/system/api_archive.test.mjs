// telerelay-api with an archive: what Redis has trimmed and what it still has are one series.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { ApiRig, assertProblem } from './lib/api.mjs';

const T = 1768473045123; // 2026-01-15T10:30:45.123Z

let rig, count = 0;
before(async () => {
    rig = await ApiRig.start({ archive: true });
    rig.fill([]);
});
after(() => rig?.stop());
const ids = (items) => items.map((item) => item.id);
const name = () => `robot_${count++}`;

describe('battery-history', () => {
    it('finds the hundred of the one robot that is used among thousands that never sent anything', async () => {
        const used = name();
        for (let i = 0; i < 150; i++) await rig.add(used, `${T + i}-0`, `"battery":${i % 101}`);
        await rig.redis.call('EVAL', "for i = 2, 6000 do redis.call('ZADD', 'tr:devices', i, 'silent' .. i) end", 0);
        await rig.redis.call('ZADD', 'tr:devices', T, used);
        const expected = Array.from({ length: 100 }, (_, i) => [T + i + 50, (i + 50) % 101]);
        assert.deepEqual((await rig.ok('/api/battery-history/')).json, expected);
        await rig.archive(used, { hot: 30 });
        assert.deepEqual((await rig.ok('/api/battery-history/')).json, expected);
        await rig.redis.call('DEL', 'tr:devices');
    });
});

describe('samples across the seam', () => {
    for (const order of ['asc', 'desc']) {
        it(`${order}: a page and a walk over both, the same ids and the same bytes`, async () => {
            const device = name(), all = [];
            for (let i = 0; i < 60; i++) {
                await rig.add(device, `${T + i}-${i % 3}`, `"battery":${i},"volt":${i}.50`);
                all.push(`${T + i}-${i % 3}`);
            }
            const before = (await rig.ok(`/api/telemetry?device_id=${device}&order=${order}`)).text;
            await rig.archive(device, { hot: 20 });
            assert.equal((await rig.redis.samples(device)).length, 20);
            assert.equal((await rig.ok(`/api/telemetry?device_id=${device}&order=${order}`)).text, before);
            const expected = order === 'asc' ? all : [...all].reverse();
            for (const limit of [1, 7, 20, 40, 59, 60])
                assert.deepEqual(ids(await rig.walk(`/api/telemetry?device_id=${device}&order=${order}&limit=${limit}`)), expected);
            const part = await rig.walk(`/api/telemetry?device_id=${device}&order=${order}&limit=9&from=${T + 30}&to=${T + 50}`);
            assert.deepEqual(ids(part), expected.filter((id) => parseInt(id) >= T + 30 && parseInt(id) <= T + 50));
        });

        it(`${order}: archived, trimmed and added between the pages`, async () => {
            const devices = [name(), name(), name()], positions = new Map(), seen = [];
            const added = [];
            const add = async (device, ms) => {
                await rig.add(device, `${ms}-0`);
                added.push(`${ms}-0 ${device}`);
            };
            for (let i = 0; i < 150; i++) await add(devices[i % 3], T + Math.floor(i / 2));
            let ms = T + 1000;
            const items = await rig.walk(`/api/telemetry?device_id=${devices.join(',')}&order=${order}&limit=11`, {
                between: async (json) => {
                    seen.push(...json.items);
                    const device = devices[Math.floor(seen.length / 11) % 3];
                    positions.set(device, await rig.archive(device, { after: positions.get(device), hot: 1 + (seen.length % 25) }));
                    if (added.length < 200) for (const other of devices) await add(other, ms++);
                },
            });
            const keys = items.map((item) => `${item.id} ${item.device_id}`);
            const sorted = added.filter((key) => order === 'asc' || parseInt(key) < T + 1000)
                .sort((a, b) => parseInt(a) - parseInt(b) || (a.split(' ')[1] < b.split(' ')[1] ? -1 : 1));
            assert.deepEqual(keys, order === 'asc' ? sorted : sorted.reverse());
        });
    }

    it('a device that Redis knows nothing of any more', async () => {
        const [gone, here] = [name(), name()];
        for (let i = 0; i < 10; i++) {
            await rig.add(gone, `${T + i}-0`);
            await rig.add(here, `${T + i}-0`);
        }
        await rig.archive(gone);
        await rig.redis.call('DEL', `tr:tel:${gone}`);
        for (const order of ['asc', 'desc'])
            assert.equal((await rig.walk(`/api/telemetry?device_id=${gone},${here}&order=${order}&limit=3`)).length, 20);
        assert.equal((await rig.ok(`/api/telemetry?device_id=${gone}`)).json.count, 10);
    });

    it('the most devices it takes, each at another stage', async () => {
        const devices = Array.from({ length: 64 }, () => name());
        const lines = [];
        await Promise.all(devices.flatMap((device, d) => Array.from({ length: 20 }, (_, i) => {
            lines.push(['samples', device, `${T + i}-0`, '"battery":1']);
            return i >= d % 21 ? rig.add(device, `${T + i}-0`, '"battery":1') : null;
        })));
        rig.fill(lines);
        for (const order of ['asc', 'desc']) {
            const items = await rig.walk(`/api/telemetry?device_id=${devices.join(',')}&order=${order}&limit=300`);
            assert.equal(items.length, 64 * 20);
            assert.equal(new Set(items.map((item) => item.id + item.device_id)).size, items.length);
            assert.deepEqual(items.map((item) => item.id), items.map((item) => item.id).sort((a, b) => (order === 'asc' ? 1 : -1) * (parseInt(a) - parseInt(b))));
        }
    });

    it('the battery of the last hundred', async () => {
        const device = name();
        await Promise.all(Array.from({ length: 150 }, (_, i) => rig.add(device, `${T + i}-0`, `"battery":${i % 100}`)));
        await rig.archive(device, { hot: 30 });
        const { json } = await rig.ok(`/api/battery-history/?device_id=${device}`);
        assert.deepEqual(json, Array.from({ length: 100 }, (_, i) => [T + 50 + i, (50 + i) % 100]));
    });
});

describe('commands and events across the seam', () => {
    it('a command keeps its outcome, wherever each of them is', async () => {
        const device = name();
        const commands = 'tr:cmds:', outcomes = 'tr:outs:';
        for (let i = 0; i < 40; i++) {
            await rig.redis.call('XADD', commands + device, `${T + i * 100}-0`, 'd',
                `"seq":${i + 1},"by":"w","relay":"wsd-1","received_ms":${T + i * 100},"outcome":"sent","command":{"type":"stop"}`);
            await rig.redis.call('XADD', outcomes + device, `${T + i * 100 + 5}-0`, 'd', `"seq":${i + 1},"outcome":"applied"`);
        }
        const target = `/api/commands?device_id=${device}`;
        const before = await rig.walk(`${target}&limit=7`);
        assert.equal(before.length, 40);
        assert.match(JSON.stringify(before), /applied/);
        await rig.archive(device, { kind: 'commands', prefix: commands, hot: 10 });
        assert.deepEqual(await rig.walk(`${target}&limit=7`), before);
        await rig.archive(device, { kind: 'outcomes', prefix: outcomes, hot: 25 });
        assert.deepEqual(await rig.walk(`${target}&limit=7`), before);
        assert.deepEqual((await rig.walk(`${target}&limit=7&order=asc`)).reverse(), before);
    });

    it('events, also when only few of them are asked for', async () => {
        for (let i = 0; i < 300; i++)
            await rig.redis.call('XADD', 'tr:events', `${T + i}-0`, 'd', `"kind":"${i % 50 ? 'connected' : 'status'}","device_id":"e_${i % 3}"`);
        const targets = ['/api/events?limit=40', '/api/events?limit=40&order=asc', '/api/events?kind=status&limit=2', '/api/events?device_id=e_1&limit=30'];
        const before = await Promise.all(targets.map((target) => rig.walk(target)));
        assert.deepEqual(before.map((items) => items.length), [300, 300, 6, 100]);
        await rig.archive('', { kind: 'events', prefix: 'tr:events', hot: 35 });
        for (const [i, target] of targets.entries()) assert.deepEqual(await rig.walk(target), before[i]);
    });
});

describe('a Redis that was started again, and that no archiver has compared', () => {
    it('is asked for nothing that is archived, whatever it has of it; 503 without the archive; and is believed once it was compared', async () => {
        const [device, other, both] = [name(), name(), []];
        const all = Array.from({ length: 30 }, (_, i) => `${T + i}-0`);
        for (const [i, id] of all.entries()) {
            if (i === 25) for (const one of [device, other]) await rig.archive(one, { hot: 10 });
            for (const one of [device, other]) {
                await rig.add(one, id);
                both.push(`${one} ${id}`);
            }
        }
        const lost = [0, 1, 2].map((i) => `${T + 22 + i}-0`); // archived, and gone from Redis' end
        await rig.redis.call('XDEL', `tr:tel:${device}`, ...lost);
        await rig.redis.call('DEL', `tr:tel:${other}`);
        const file = rig.database.slice('sqlite:'.length);
        await rig.compared('another');
        const api = await rig.startApi('unsure', { workers: 1 });
        const port = await rig.startNginx(rig.socket('unsure'));
        const ask = (query) => rig.ok(`/api/telemetry?${query}`, { port });
        const here = both.filter((line) => line.startsWith(device) || all.indexOf(line.split(' ')[1]) < 25);
        for (const order of ['asc', 'desc']) {
            const one = await ask(`device_id=${device}&order=${order}&from=${T}&to=${T + 20}`);
            assert.equal(one.headers.etag, undefined);
            for (const limit of [1, 4, 100]) {
                assert.deepEqual(ids(await rig.walk(`/api/telemetry?device_id=${device}&order=${order}&limit=${limit}`, { port })), order === 'asc' ? all : [...all].reverse());
                const items = await rig.walk(`/api/telemetry?device_id=${device},${other}&order=${order}&limit=${limit}`, { port });
                assert.deepEqual(items.map((item) => `${item.device_id} ${item.id}`).sort(), [...here].sort());
            }
        }
        assert.equal((await ask(`device_id=${device}&from=${T}&format=csv`)).text.split('\r\n').length, 32);
        assert.equal((await ask(`device_id=${device}&from=${T}&step=1h&agg=count`)).json.items[0].battery, 30);
        fs.renameSync(file, `${file}.moved`);
        fs.mkdirSync(file);
        for (const suffix of ['', '&order=asc'])
            assert.equal((await rig.ok(`/api/telemetry?device_id=${device}&limit=5${suffix}&from=${T + 25}`)).json.count, 5);
        for (const suffix of ['', '&order=asc', '&format=csv'])
            assertProblem(await rig.ask(`/api/telemetry?device_id=${device}&from=${T + 25}${suffix}`, { port }), 503, /^the archive, /);
        fs.rmdirSync(file);
        fs.renameSync(`${file}.moved`, file);
        await rig.compared();
        assert.equal((await ask(`device_id=${device}&limit=100`)).json.count, 27);
        assert.equal((await api.stop()).code, 0);
    });
});

describe('a Redis that is started again amid a request', () => {
    it('is not taken for the one that was compared: 503, and the next answer is whole', async () => {
        const device = name();
        for (let i = 0; i < 30; i++) await rig.add(device, `${T + i}-0`);
        await rig.archive(device, { hot: 10 });
        await rig.add(device, `${T + 30}-0`);
        // Between the api and Redis; what it sees of a request may end its connection.
        let sees = () => false;
        const middle = net.createServer((client) => {
            const redis = net.connect(rig.redisPath);
            client.on('data', async (data) => ((await sees(data.toString())) ? client.destroy() : redis.write(data)));
            redis.on('data', (data) => client.write(data));
            for (const [one, other] of [[client, redis], [redis, client]]) one.on('error', () => {}).on('close', () => other.destroy());
        }).listen(rig.socket('middle'));
        await new Promise((resolve) => middle.once('listening', resolve));
        const api = await rig.startApi('amid', { workers: 1, 'redis-address': `unix:${rig.socket('middle')}` });
        const port = await rig.startNginx(rig.socket('amid'));
        const target = `/api/telemetry?device_id=${device}&limit=100`;
        assert.equal((await rig.ok(target, { port })).json.count, 31);
        let seen = 0;
        sees = async (text) => {
            if (!/XREVRANGE/.test(text) || seen++ > 0) return false;
            await rig.compared('another');
            await rig.redis.call('XDEL', `tr:tel:${device}`, `${T + 28}-0`, `${T + 29}-0`);
            return true;
        };
        const answer = await rig.ask(target, { port });
        assertProblem(answer, 503, /./);
        assert.equal(answer.headers['retry-after'], '1');
        assert.equal(seen, 1);
        assert.match(api.log, /event=redis_away .*started again/);
        assert.equal((await rig.ok(target, { port })).json.count, 31);
        await rig.compared();
        assert.equal((await api.stop()).code, 0);
        middle.close();
    });
});

describe('the archive away', () => {
    const file = () => rig.database.slice('sqlite:'.length);
    let old, fresh;
    before(async () => {
        [old, fresh] = [name(), name()];
        for (let i = 0; i < 30; i++) {
            await rig.add(old, `${T + i}-0`);
            await rig.add(fresh, `${T + i}-0`);
        }
        await rig.archive(old, { hot: 10 });
    });

    it('503 that names it where it is needed; what Redis has is answered; said once; and back', async () => {
        const api = await rig.startApi('away', { workers: 1 });
        const port = await rig.startNginx(rig.socket('away'));
        for (const suffix of ['', '-wal', '-shm']) if (fs.existsSync(file() + suffix)) fs.renameSync(file() + suffix, `${file()}${suffix}.moved`);
        fs.mkdirSync(file());
        for (const query of [`device_id=${old}`, `device_id=${old}&order=asc`, `device_id=${old},${fresh}&limit=50`, `device_id=${old}&from=${T}&format=csv`,
            `device_id=${old}&from=${T}&format=ndjson`, `device_id=${old}&format=columns`]) {
            const answer = await rig.ask(`/api/telemetry?${query}`, { port });
            assertProblem(answer, 503, /^the archive, .* does not answer; try again shortly$/);
            assert.equal(answer.headers['retry-after'], '1');
            assert.equal(answer.headers.etag, undefined);
            assert.equal(answer.headers['cache-control'], 'no-store');
        }
        assert.equal((await rig.ok(`/api/telemetry?device_id=${old}&limit=9`, { port })).json.count, 9);
        assert.equal((await rig.ok(`/api/telemetry?device_id=${old}&from=${T + 20}&format=csv`, { port })).text.split('\r\n').length, 12);
        assert.equal((await rig.ok(`/api/telemetry?device_id=${old}&order=asc&from=${T + 25}`, { port })).json.count, 5);
        assert.match((await rig.ok('/metrics', { port })).text, /^telerelay_api_archive_up 0$/m);
        assert.equal(api.log.match(/event=archive_away/g).length, 1);
        fs.rmdirSync(file());
        for (const suffix of ['', '-wal', '-shm']) if (fs.existsSync(`${file()}${suffix}.moved`)) fs.renameSync(`${file()}${suffix}.moved`, file() + suffix);
        assert.equal((await rig.ok(`/api/telemetry?device_id=${old}`, { port })).json.count, 30);
        assert.match((await rig.ok('/metrics', { port })).text, /^telerelay_api_archive_up 1$/m);
        assert.equal(api.log.match(/event=archive_back/g).length, 1);
        assert.equal((await api.stop()).code, 0);
    });

    it('one that hangs is waited for once', async () => {
        // What connects to it is never answered.
        const silent = net.createServer(() => {}).listen(`${rig.dir}/.s.PGSQL.5432`);
        await new Promise((resolve) => silent.once('listening', resolve));
        const api = await rig.startApi('hangs', { workers: 1, 'archive-database': `postgresql:///t?host=${rig.dir}`, 'archive-ms': 1500, 'request-s': 6 });
        const port = await rig.startNginx(rig.socket('hangs'));
        const now = Date.now(), device = name();
        for (let i = 0; i < 20; i++) await rig.add(device, `${now - 600000 + i * 30000}-0`);
        for (const [from, more, status] of [[660000, '&limit=5', 200], [660000, '&order=asc', 503], [600000, '&step=1m&limit=2', 200], [660000, '&step=1m&limit=2&order=asc', 503]]) {
            const begun = performance.now();
            const answer = await rig.ask(`/api/telemetry?device_id=${device}&from=${now - from}&to=${now - 60000}${more}`, { port });
            assert.equal(answer.status, status, more + answer.text);
            const took = performance.now() - begun;
            assert.ok(took < 2800, `${more}: ${took} ms`);
        }
        assert.doesNotMatch(api.log, /request_timed_out/);
        assert.equal((await api.stop()).code, 0);
        silent.close();
    });
});
