// Goal: docs/openapi.yaml is what the api does. Everything it documents is asked for: each operation, parameter, value of
// an enumeration, status and media type; every answer has to be as documented; and the api takes no parameter and serves
// no path that is not in it.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApiRig, assertProblem } from './lib/api.mjs';
import { Contract } from './lib/openapi.mjs';
import { until } from './lib/wait.mjs';

const T = 1768473045123; // 2026-01-15T10:30:45.123Z
const SOURCES = fileURLToPath(new URL('../../fcgi', import.meta.url));

const contract = Contract.load();
const operations = new Map([...contract.operations()].map((operation) => [operation.operationId, operation]));
const seen = new Set(); // "OPERATION STATUS TYPE", "OPERATION ?PARAMETER", "OPERATION ?PARAMETER=VALUE"

let rig;
before(async () => {
    rig = await ApiRig.start();
    await rig.add('robot_01', `${T}-0`, '"battery":85,"cpu":38,"temperature":41.2,"signal":93');
    await rig.add('robot_01', `${T + 1}-0`, '"battery":84');
    await rig.add('robot_02', `${T + 1}-0`, '"cpu":1e-7,"volt":11.1,"amp":-0.5');
    for (let i = 0; i < 5; i++) {
        await rig.redis.call('XADD', 'tr:cmds:robot_01', `${T + i}-0`, 'd', `"seq":${i},"by":"guest-1a2b3c","relay":"wsd-1","received_ms":${T},` +
            `"outcome":"${i ? 'sent' : 'stopped'}","command":{"type":"robot_move","x":0.5,"y":-0.3,"id":"c-1"}`);
        await rig.redis.call('XADD', 'tr:outs:robot_01', `${T + i}-0`, 'd', `"seq":${i},"outcome":"rejected","reason":"old"`);
    }
    const events = [['connected', '"relay":"wsd-1"'], ['disconnected', '"relay":"wsd-1"'], ['status', '"status":"ok","message":"all well"'],
        ['stop', '"by":"guest-1a2b3c","seq":7'], ['rearm', '"by":"guest-1a2b3c","seq":8'], ['confirmed', '"stopped":true,"seq":7'],
        ['control', '"what":"acquire","by":"guest-1a2b3c","epoch":3']];
    for (const [i, [kind, more]] of events.entries())
        await rig.redis.call('XADD', 'tr:events', `${T + i}-0`, 'd', `"kind":"${kind}","device_id":"robot_01",${more}`);
    await rig.redis.call('ZADD', 'tr:devices', T, 'robot_01', T, 'robot_02');
    await rig.redis.call('HSET', 'tr:dev:robot_01', 'name', 'Stair climber');
    await rig.redis.call('HSET', 'tr:ctl:robot_01', 'stopped', 1, 'confirmed', 1, 'by', 'guest-1a2b3c', 'at', T, 'epoch', 3);
    await relayLives(true);
});
after(() => rig?.stop());

const relayLives = (lives) => lives ? rig.redis.call('ZADD', 'tr:relays', Date.now() + 3600000, 'wsd-1#1') : rig.redis.call('DEL', 'tr:relays');

// Asks, checks the answer against the document and notes what was covered.
async function ask(id, query = '', { status = 200, segment = 'robot_01', method, headers = {}, port } = {}) {
    const operation = operations.get(id);
    assert.ok(operation, `${id} is in the document`);
    const target = operation.path.replace(/\{\w+\}/, segment) + (query && `?${query}`);
    const answer = await rig.ask(target, { method: method ?? operation.method.toUpperCase(), headers, port });
    assert.equal(answer.status, status, `${target}: ${answer.text.slice(0, 300)}`);
    const type = contract.check(operation, answer, { head: method === 'HEAD' });
    seen.add(`${id} ${status} ${type}`);
    if (status === 200 || status === 304) {
        for (const [name, value] of new URLSearchParams(query)) {
            seen.add(`${id} ?${name}`);
            for (const one of value.split(',')) seen.add(`${id} ?${name}=${one}`);
        }
        for (const name of Object.keys(headers)) seen.add(`${id} ?${name}`);
        if (operation.path.includes('{')) seen.add(`${id} ?device_id`);
    }
    return answer;
}

// The least that the operation can be asked with.
const needed = ({ parameters }) => parameters.filter((one) => one.in === 'query' && one.required).map(({ name }) => `${name}=robot_01`).join('&');

describe('answers are as documented', () => {
    it('samples', async () => {
        const devices = 'device_id=robot_01,robot_02';
        for (const format of ['json', 'columns', 'csv', 'ndjson']) {
            for (const order of ['asc', 'desc']) await ask('getTelemetry', `${devices}&format=${format}&order=${order}`);
            await ask('getTelemetry', `device_id=robot_01&from=${T}&to=now&format=${format}&fields=battery,nothing`);
            const { headers } = await ask('getTelemetry', `${devices}&limit=1&format=${format}`);
            const [, link] = /^<([^>]+)>; rel="next"$/.exec(headers.link);
            await ask('getTelemetry', link.split('?')[1]);
            await ask('getTelemetry', `device_id=nobody&format=${format}`);
            for (const steps of ['step=1s', 'step=1m', 'step=1h', 'step=1d', 'points=20']) {
                await ask('getTelemetry', `${devices}&from=${T - 100000}&to=${T + 100000}&${steps}&format=${format}`);
                await ask('getTelemetry', `${devices}&from=${T}&${steps}&format=${format}&agg=avg,min,max,last,count&fields=battery,cpu`);
            }
        }
    });

    it('samples that stay as they are', async () => {
        const query = `device_id=robot_01&from=${T}&to=${T}`;
        const { headers } = await ask('getTelemetry', query);
        assert.ok(headers.etag);
        await ask('getTelemetry', query, { status: 304, headers: { 'If-None-Match': headers.etag } });
        assert.equal((await ask('getTelemetry', 'device_id=robot_01')).headers.etag, undefined);
    });

    it('commands', async () => {
        await ask('getCommands', `device_id=robot_01&from=-7d&to=now&order=asc`);
        const { json } = await ask('getCommands', `device_id=robot_01&from=${T}&order=desc&limit=2`);
        await ask('getCommands', `device_id=robot_01&cursor=${json.next_cursor}`);
        await ask('getCommands', `device_id=robot_01&order=asc`);
    });

    it('events', async () => {
        for (const kind of contract.at('#/components/schemas/EventKind').enum) {
            const { json } = await ask('getEvents', `kind=${kind}&device_id=robot_01`);
            assert.equal(json.count, 1);
        }
        const { json } = await ask('getEvents', `from=${T}&to=${T + 100}&limit=2&order=asc`);
        await ask('getEvents', `cursor=${json.next_cursor}&order=asc`);
        await ask('getEvents', 'order=desc');
    });

    it('devices', async () => {
        const { json } = await ask('listDevices');
        assert.equal(json.count, 2);
        await ask('getDevice');
        await ask('getDevice', '', { segment: 'nobody', status: 404 });
        await ask('getDevice', '', { segment: 'no%20id', status: 404 });
    });

    it('the old history of batteries', async () => {
        assert.equal((await ask('getBatteryHistory')).json.length, 2);
        await ask('getBatteryHistory', 'device_id=robot_01');
    });

    it('health, metrics and the description itself', async () => {
        for (const id of ['getLive', 'getHealth', 'getReady']) {
            await ask(id);
            await ask(id, 'verbose');
        }
        await ask('getMetrics');
        await ask('getMetrics', '', { status: 403, headers: { 'X-Pretend': '192.0.2.1' } });
        const { json } = await ask('getDescription');
        assert.deepEqual(json, contract.document, 'the api serves the document');
        await relayLives(false);
        await ask('getReady', '', { status: 503 });
        await relayLives(true);
    });

    it('HEAD, wrong methods and parameters', async () => {
        for (const [id, operation] of operations) {
            const required = needed(operation);
            if (operation.method === 'get') await ask(id, required, { method: 'HEAD' });
            const { headers } = await ask(id, required, { method: 'PATCH', status: 405 });
            const methods = [...operations.values()].filter(({ path }) => path === operation.path).map(({ method }) => method.toUpperCase());
            assert.deepEqual(headers.allow.split(', ').sort(), [...methods, ...(methods.includes('GET') ? ['HEAD'] : [])].sort());
            await ask(id, 'no_such_parameter=1', { status: 400 });
        }
    });

    it('what a parameter may not be is refused, and its limits are taken', async () => {
        const many = (n) => Array.from({ length: n }, (_, i) => `m${i}`).join();
        for (const [id, operation] of operations)
            for (const { name, in: place, schema: given } of operation.parameters) {
                if (place !== 'query' || name === 'verbose') continue;
                const schema = contract.resolve(given);
                const items = contract.resolve(schema.items) ?? {};
                const bad = ['', '!', 'no\x01', ...(schema.type === 'integer' ? [schema.minimum - 1, schema.maximum + 1, '1.5'] : []), ...(schema.maxItems ? [many(schema.maxItems + 1)] : [])];
                const good = [...(schema.type === 'integer' ? [schema.minimum, schema.maximum] : []), ...(schema.maxItems && !items.enum ? [many(schema.maxItems)] : [])];
                const more = `${name === 'device_id' ? '' : needed(operation)}${{ agg: '&step=1m', points: `&from=${T}` }[name] ?? ''}`;
                for (const value of bad) {
                    const { json } = await ask(id, `${more}&${name}=${encodeURIComponent(value)}`.replace(/^&/, ''), { status: 400 });
                    assert.match(json.detail, new RegExp(`\\b${name}\\b`), `the detail names ${name}`);
                }
                for (const value of good) await ask(id, `${more}&${name}=${value}`.replace(/^&/, ''));
            }
    });

    it('without the archive, where it is needed', async () => {
        const api = await rig.startApi('no-archive', { 'archive-database': `sqlite:${rig.dir}/missing/archive.db` });
        try {
            const port = await rig.startNginx(rig.socket('no-archive'));
            for (const [id, query] of [['getTelemetry', `device_id=robot_01&from=${T - 1000}&order=asc`], ['getCommands', 'device_id=robot_01&order=asc'], ['getEvents', 'order=asc']]) {
                const { json } = await ask(id, query, { status: 503, port });
                assert.match(json.detail, /archive/);
            }
            await ask('getTelemetry', 'device_id=robot_01&limit=1', { port });
            assert.match((await ask('getReady', 'verbose', { port })).text, /^\[!\]archive/m);
        } finally {
            await api.stop();
        }
    });

    it('without Redis', async () => {
        await rig.redisPart.stop('SIGKILL');
        for (const [id, operation] of operations)
            if (operation.responses['503']) await ask(id, needed(operation), { status: 503 });
        await ask('getMetrics');
        await rig.startRedis();
        await until(async () => (await rig.ask('/api/devices')).status === 200, 10000, 'the api is back');
    });
});

describe('the api does nothing that is not documented', () => {
    const source = fs.readdirSync(SOURCES).filter((name) => name.endsWith('.c')).map((name) => fs.readFileSync(path.join(SOURCES, name), 'utf8')).join('\n');

    it('serves no other path', () => {
        const served = [...source.matchAll(/^ {4}\{"\w+", [^"]*"(\/[^"]*)", \w+\},$/gm)].map(([, pattern]) => pattern);
        assert.ok(served.length >= operations.size, 'the table of routes is found');
        const documented = new Set([...operations.values()].map((operation) => operation.path.replace(/\{\w+\}$/, '*')));
        assert.deepEqual(served.filter((one) => !documented.has(one)), ['/api/battery-history'], 'but for the one that a description names');
        assert.match(operations.get('getBatteryHistory').description, /`\/api\/battery-history`/);
    });

    it('takes no other parameter', async () => {
        // Whatever word the program knows.
        const words = new Set([...source.matchAll(/"([A-Za-z][A-Za-z0-9_-]{0,30})"/g)].map(([, word]) => word));
        assert.ok(words.has('device_id') && words.has('verbose') && words.size > 50);
        for (const operation of operations.values()) {
            const documented = new Set(operation.parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name));
            const unknown = [...words].filter((word) => !documented.has(word));
            for (let at = 0; at < unknown.length; at += 16)
                await Promise.all(unknown.slice(at, at + 16).map(async (word) => {
                    const answer = await rig.ask(`${operation.path.replace(/\{\w+\}/, 'robot_01')}?${word}=1`, { method: operation.method.toUpperCase() });
                    assertProblem(answer, 400, `unknown parameter "${word}"`);
                }));
        }
    });
});

describe('nothing that is documented was left out', () => {
    for (const [id, operation] of operations)
        it(operation.name, () => {
            const missing = [];
            const need = (what) => seen.has(`${id} ${what}`) || missing.push(what);
            for (const status of Object.keys(operation.responses)) {
                const { content } = contract.response(operation.at, status);
                for (const type of content ? Object.keys(content) : [undefined]) need(`${status} ${type}`);
            }
            for (const { name, schema } of operation.parameters) {
                need(`?${name}`);
                const { items } = contract.resolve(schema);
                for (const value of contract.resolve(schema).enum ?? contract.resolve(items)?.enum ?? []) need(`?${name}=${value}`);
            }
            assert.deepEqual(missing, []);
        });
});
