// /api/commands, /api/events, and stop and control in /api/devices: entries as the relays store them, and what else
// may stand in Redis.
import { after, before, beforeEach, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { ApiRig, assertProblem } from './lib/api.mjs';

const T = 1768473045123; // 2026-01-15T10:30:45.123Z
const at = (ms) => new Date(ms).toISOString();

let rig;
before(async () => {
    rig = await ApiRig.start();
});
after(() => rig?.stop());
beforeEach(() => rig.redis.call('FLUSHALL'));

// What the relays' scripts store: JSON members without braces.
const members = (object) => JSON.stringify(object).slice(1, -1);
const add = (key, id, object) => rig.redis.call('XADD', key, id, 'd', typeof object === 'string' ? object : members(object));
const addCommand = (device, ms, seq, more = {}, n = 0) => add(`tr:cmds:${device}`, `${ms}-${n}`, {
    seq, by: 'guest-1a2b3c', relay: 'wsd-1', received_ms: ms - 2, outcome: 'sent',
    command: { type: 'robot_move', x: 0.5, y: -0.3, id: `c-${seq}`, timestamp: at(ms) }, ...more,
});
const addOutcome = (device, ms, seq, outcome, more = {}, n = 0) =>
    add(`tr:outs:${device}`, `${ms}-${n}`, { seq, outcome, ...more });
const addEvent = (id, kind, device, more = {}) => add('tr:events', id, { kind, device_id: device, ...more });

describe('GET /api/commands', () => {
    it('answers byte by byte', async () => {
        await addCommand('r', T, 1768473045121000, { epoch: 7 });
        await addOutcome('r', T + 4, 1768473045121000, 'rejected', { reason: 'old' });
        const { text, headers } = await rig.ok('/api/commands?device_id=r');
        assert.equal(text, `{"items":[{"id":"${T}-0","device_id":"r","timestamp":"2026-01-15T10:30:45.123Z","seq":1768473045121000,` +
            '"by":"guest-1a2b3c","relay":"wsd-1","type":"robot_move","command_id":"c-1768473045121000","x":0.5,"y":-0.3,"epoch":7,' +
            '"outcome":"rejected","reason":"old","stages":[{"stage":"received","timestamp":"2026-01-15T10:30:45.121Z"},' +
            '{"stage":"sent","timestamp":"2026-01-15T10:30:45.123Z"},' +
            '{"stage":"rejected","timestamp":"2026-01-15T10:30:45.127Z","reason":"old"}]}],"count":1,"next_cursor":null}');
        assert.equal(headers['content-type'], 'application/json');
        assert.equal(headers['cache-control'], 'no-store');
        assert.equal(headers.link, undefined);
    });

    it('tells of each command what became of it', async () => {
        await addCommand('r', T, 1);
        await addCommand('r', T + 10, 2, { command: { type: 'set_speed', value: 60 } });
        await addCommand('r', T + 20, 3, { outcome: 'not_in_control', command: { type: 'camera_move', x: 0, y: 1 } });
        await addCommand('r', T + 30, 4, { command: { type: 'stop', id: 's-1', by: 'guest-1a2b3c', seq: 4 } });
        await addCommand('r', T + 40, 5, { outcome: 'stopped' });
        await addCommand('r', T + 50, 6, { command: { type: 'rearm' } });
        await addOutcome('r', T + 5, 1, 'applied');
        await addOutcome('r', T + 6, 1, 'rejected', { reason: 'old' });
        await addOutcome('r', T + 31, 4, 'applied');
        await addOutcome('r', T + 32, 2, 'expired', { reason: 'late' });
        await addOutcome('r', T + 33, 77, 'applied'); // of a command that is no longer kept
        const { json } = await rig.ok('/api/commands?device_id=r&order=asc');
        assert.deepEqual(json.items.map((c) => [c.seq, c.type, c.outcome, c.reason, c.stages.map((s) => s.stage).join(' ')]), [
            [1, 'robot_move', 'applied', undefined, 'received sent applied rejected'],
            [2, 'set_speed', 'expired', 'late', 'received sent expired'],
            [3, 'camera_move', 'not_in_control', undefined, 'received not_in_control'],
            [4, 'stop', 'applied', undefined, 'received sent applied'],
            [5, 'robot_move', 'stopped', undefined, 'received stopped'],
            [6, 'rearm', 'sent', undefined, 'received sent'],
        ]);
        assert.equal(json.items[1].value, 60);
        assert.equal(json.items[3].command_id, 's-1');
        assert.equal(json.items[3].stages[2].timestamp, at(T + 31));
        assert.deepEqual((await rig.ok('/api/commands?device_id=r')).json.items, [...json.items].reverse());
    });

    it('looks for outcomes 15 s, and behind more of them than a page can have', async () => {
        await addCommand('r', T, 1);
        await addCommand('r', T + 100, 2);
        await addOutcome('r', T + 15000, 1, 'applied');
        await addOutcome('r', T + 15101, 2, 'applied');
        const outcomes = async (query) => (await rig.ok(`/api/commands?device_id=r&order=asc${query}`)).json.items.map((c) => c.outcome);
        assert.deepEqual(await outcomes(`&to=${T}`), ['applied']);
        assert.deepEqual(await outcomes(`&from=${T + 1}`), ['sent']);
        for (let i = 0; i < 5000; i += 500)
            await Promise.all(Array.from({ length: 500 }, (_, k) => addOutcome('s', T, 10 + i + k, 'applied', {}, i + k)));
        await addOutcome('s', T + 1, 5, 'applied');
        await addCommand('s', T, 5);
        assert.equal((await rig.ok('/api/commands?device_id=s')).json.items[0].outcome, 'sent', 'the bound holds');
    });

    it('finds outcomes whose time is before that of their command, as after a clock that went back', async () => {
        await addCommand('early', 10, 1);
        await addOutcome('early', 1, 1, 'applied');
        await addCommand('r', T, 2);
        await addCommand('r', T, 3, {}, 1);
        await addOutcome('r', T - 15001, 2, 'applied');
        await addOutcome('r', T - 15000, 3, 'rejected', { reason: 'old' });
        const { json } = await rig.ok('/api/commands?device_id=r&order=asc');
        assert.deepEqual(json.items.map((c) => [c.seq, c.outcome]), [[2, 'sent'], [3, 'rejected']]);
        assert.equal(json.items[1].stages.at(-1).timestamp, at(T - 15000));
        assert.equal((await rig.ok('/api/commands?device_id=early')).json.items[0].outcome, 'applied');
    });

    it('joins by device and number: equal numbers of two robots are two commands', async () => {
        for (const [i, device] of ['a', 'b', 'c'].entries()) {
            await addCommand(device, T, 1);
            await addOutcome(device, T + 1, 1, ['applied', 'rejected', 'expired'][i], i ? { reason: device } : {});
        }
        for (const order of ['asc', 'desc']) {
            const items = await rig.walk(`/api/commands?device_id=c,a&device_id=b&order=${order}&limit=1`, { byLink: true });
            const expected = [['a', 'applied', undefined], ['b', 'rejected', 'b'], ['c', 'expired', 'c']];
            assert.deepEqual(items.map((c) => [c.device_id, c.outcome, c.reason]), order === 'asc' ? expected : expected.reverse());
        }
    });

    for (const order of ['asc', 'desc']) {
        it(`walks ${order} while commands arrive and go: none twice, none skipped, each with its outcome`, async () => {
            const devices = ['w1', 'w2'];
            let seq = 0;
            const both = async (device, ms) => {
                await addCommand(device, ms, ++seq);
                await addOutcome(device, ms + 1, seq, 'applied');
            };
            for (let i = 0; i < 150; i++) await both(devices[i % 2], T + i * 3);
            const first = new Set(Array.from({ length: 150 }, (_, i) => i + 1));
            let step = 0;
            const items = await rig.walk(`/api/commands?device_id=${devices}&order=${order}&limit=17`, {
                byLink: order === 'asc',
                between: async () => {
                    if (step++ > 20) return;
                    await both(devices[step % 2], T + 9000 + step * 3);
                    if (order === 'asc') return;
                    const [[id]] = await rig.redis.call('XRANGE', 'tr:cmds:w1', '-', '+', 'COUNT', 1);
                    first.delete(JSON.parse(`{${(await rig.redis.call('XRANGE', 'tr:cmds:w1', id, id))[0][1][1]}}`).seq);
                    await rig.redis.call('XDEL', 'tr:cmds:w1', id);
                },
            });
            assert.equal(new Set(items.map((c) => c.seq)).size, items.length);
            const seqs = items.map((c) => c.seq);
            assert.deepEqual(seqs, [...seqs].sort((a, b) => (order === 'asc' ? a - b : b - a)));
            for (const one of first) assert.ok(seqs.includes(one), `${one} was skipped`);
            for (const c of items) assert.equal(c.outcome, 'applied', `${c.seq}`);
        });
    }

    it('serves a large page', async () => {
        for (let i = 0; i < 10000; i += 250)
            await Promise.all(Array.from({ length: 250 }, (_, k) => [addCommand('big', T + i + k, i + k + 1), addOutcome('big', T + i + k, i + k + 1, 'applied')]).flat());
        const { json } = await rig.ok('/api/commands?device_id=big&limit=10000');
        assert.equal(json.count, 10000);
        json.items.forEach((c, i) => assert.equal(c.seq, 10000 - i));
        assert.ok(json.items.every((c) => c.outcome === 'applied' && c.stages.length === 3));
    });

    it('leaves out what no relay stores', async () => {
        await addCommand('odd', T, 1);
        for (const [i, data] of ['', '"seq":2', '{"seq":3}', '"seq":4,"outcome":"sent","command":{"type":"stop"},"x":', 'x'.repeat(20000),
            '"seq":"5","outcome":"sent","command":{"type":"stop"}', '"seq":6,"outcome":"sent","command":"stop"'].entries())
            await add('tr:cmds:odd', `${T + 1 + i}-0`, data);
        await rig.redis.call('XADD', 'tr:cmds:odd', `${T + 90}-0`, 'other', '1');
        for (const [i, data] of ['', '"seq":1', '"seq":1,"outcome":true', '"seq":1,"outcome":"applied"}'].entries())
            await add('tr:outs:odd', `${T + 1 + i}-0`, data);
        await addCommand('odd', T + 99, 9, { by: 'Stair "climber" ä\n' });
        await rig.redis.call('SET', 'tr:cmds:none', 'x');
        await rig.redis.call('SET', 'tr:outs:none2', 'x');
        await addCommand('none2', T, 1);
        const items = await rig.walk('/api/commands?device_id=odd&order=asc&limit=1');
        assert.deepEqual(items.map((c) => [c.seq, c.outcome, c.by]), [[1, 'sent', 'guest-1a2b3c'], [9, 'sent', 'Stair "climber" ä\n']]);
        assert.equal((await rig.ok('/api/commands?device_id=none,nobody')).json.count, 0);
        assert.equal((await rig.ok('/api/commands?device_id=none2')).json.count, 1);
    });
});

describe('GET /api/events', () => {
    it('answers byte by byte', async () => {
        await addEvent(`${T}-0`, 'stop', 'r', { by: 'guest-1a2b3c', seq: 7 });
        const { text } = await rig.ok('/api/events');
        assert.equal(text, `{"items":[{"id":"${T}-0","device_id":"r","timestamp":"2026-01-15T10:30:45.123Z","kind":"stop",` +
            '"by":"guest-1a2b3c","seq":7}],"count":1,"next_cursor":null}');
    });

    it('filters by device and kind', async () => {
        const kinds = ['connected', 'disconnected', 'status', 'stop', 'rearm', 'confirmed', 'control'];
        const all = [];
        for (const [i, kind] of kinds.entries()) {
            for (const device of ['a', 'b', 'c']) {
                all.push([kind, device]);
                await addEvent(`${T + i}-${all.length}`, kind, device);
            }
        }
        const got = async (query) => (await rig.walk(`/api/events?order=asc&limit=2${query}`, { byLink: true })).map((e) => [e.kind, e.device_id]);
        const want = (filter) => all.filter(([kind, device]) => filter(kind, device));
        assert.deepEqual(await got(''), all);
        assert.deepEqual(await got('&device_id=b'), want((kind, device) => device === 'b'));
        assert.deepEqual(await got('&device_id=a,c&kind=stop,rearm'), want((kind, device) => device !== 'b' && /^(stop|rearm)$/.test(kind)));
        assert.deepEqual(await got('&kind=control&kind=connected'), want((kind) => /^con.*(ol|ed)$/.test(kind) && kind !== 'confirmed'));
        assert.deepEqual(await got('&device_id=nobody'), []);
        assert.deepEqual(await got(`&from=${T + 3}&to=${T + 4}&device_id=a`), [['stop', 'a'], ['rearm', 'a']]);
        assert.deepEqual((await rig.walk('/api/events?limit=3')).map((e) => [e.kind, e.device_id]), [...all].reverse());
    });

    it('reads a bounded part of a long history for each page and goes on from there', async () => {
        for (let i = 0; i < 45000; i += 500) {
            await Promise.all(Array.from({ length: 500 }, (_, k) => {
                const rare = (i + k) % 20001 === 5;
                return addEvent(`${T + i + k}-0`, rare ? 'stop' : 'status', rare ? 'r' : 'other', { status: 'ready' });
            }));
        }
        for (const order of ['asc', 'desc']) {
            for (const query of ['&kind=stop', '&device_id=r', '&device_id=r&kind=stop,rearm']) {
                const { json } = await rig.ok(`/api/events?order=${order}${query}`);
                assert.ok(json.count <= 2 && json.next_cursor, 'the first page ends at the bound');
                let pages = 0;
                const items = await rig.walk(`/api/events?order=${order}${query}`, { byLink: order === 'asc', between: () => { pages++; } });
                const expected = [T + 5, T + 20006, T + 40007];
                assert.deepEqual(items.map((e) => Number(e.id.split('-')[0])), order === 'asc' ? expected : expected.reverse());
                assert.ok(pages >= 2 && pages <= 3, `${pages} pages`);
            }
        }
        const items = await rig.walk('/api/events?kind=stop&limit=1');
        assert.equal(items.length, 3);
    });

    it('reads a bounded part of long status messages, too', async () => {
        // As long as a relay stores them: 1024 bytes, each written as six.
        await rig.redis.call('EVAL', `local status = '"kind":"status","device_id":"r","status":"ready","message":"' .. string.rep('\\\\u0001', 1024) .. '"'
            for i = 1, 22000 do redis.call('XADD', 'tr:events', ${T} + i .. '-0', 'd', i % 10000 == 5 and '"kind":"stop","device_id":"r"' or status) end`, 0);
        for (const order of ['asc', 'desc']) {
            let pages = 0;
            const items = await rig.walk(`/api/events?order=${order}&kind=stop`, { between: () => { pages++; } });
            const expected = [T + 5, T + 10005, T + 20005];
            assert.deepEqual(items.map((e) => Number(e.id.split('-')[0])), order === 'asc' ? expected : expected.reverse());
            assert.ok(pages >= 6 && pages <= 9, `${pages} pages`);
        }
        const { json } = await rig.ok('/api/events?limit=10000');
        assert.ok(json.count > 2000 && json.count < 5000 && json.next_cursor, `${json.count} of them are 16 MiB`);
        const next = await rig.ok(`/api/events?limit=10000&cursor=${json.next_cursor}`);
        assert.equal(Number(next.json.items[0].id.split('-')[0]), Number(json.items.at(-1).id.split('-')[0]) - 1);
    });

    for (const order of ['asc', 'desc']) {
        it(`walks ${order} while events arrive: none twice, none skipped`, async () => {
            let n = 0;
            const more = () => addEvent(`${T + n++}-0`, n % 3 ? 'connected' : 'disconnected', `r${n % 2}`, { n });
            for (let i = 0; i < 300; i++) await more();
            let left = 30;
            const items = await rig.walk(`/api/events?order=${order}&kind=connected&device_id=r1&limit=13`, {
                between: async (json) => { if (json.next_cursor && left-- > 0) for (let i = 0; i < 5; i++) await more(); },
            });
            const ns = items.map((e) => e.n).sort((a, b) => a - b);
            const expected = Array.from({ length: order === 'asc' ? n : 300 }, (_, i) => i + 1).filter((i) => i % 3 && i % 2);
            assert.deepEqual(ns, expected);
        });
    }

    it('leaves out what no relay stores', async () => {
        for (const [i, data] of ['"kind":"crash","device_id":"r"', '"kind":"stop"', '"kind":"stop","device_id":"a b"', '{}', '"kind":"stop","device_id":"r",'].entries())
            await add('tr:events', `${T + i}-0`, data);
        await addEvent(`${T + 50}-0`, 'stop', 'r', { id: 7, timestamp: 8 });
        const { json } = await rig.ok('/api/events');
        assert.deepEqual(json.items, [{ id: `${T + 50}-0`, device_id: 'r', timestamp: at(T + 50), kind: 'stop' }]);
        await rig.redis.call('SET', 'tr:events', 'x');
        assert.equal((await rig.ok('/api/events')).json.count, 0);
    });
});

describe('bad requests', () => {
    const kinds = 'kind must be connected, disconnected, status, stop, rearm, confirmed or control, not ';
    for (const [target, detail] of [
        ['/api/commands', 'device_id is required'],
        ['/api/commands?limit=5', 'device_id is required'],
        ['/api/commands?device_id=a/b', 'device_id must be 1 to 64 of A-Z a-z 0-9 _ . -, not "a/b"'],
        [`/api/commands?device_id=${Array.from({ length: 65 }, (_, i) => `d${i}`)}`, 'device_id names more than 64 devices'],
        ['/api/commands?device_id=r&limit=0', 'limit must be a whole number from 1 to 10000, not "0"'],
        ['/api/commands?device_id=r&limit=10001', 'limit must be a whole number from 1 to 10000, not "10001"'],
        ['/api/commands?device_id=r&order=up', 'order must be desc or asc, not "up"'],
        ['/api/commands?device_id=r&from=yesterday', /^from must be RFC 3339 .* not "yesterday"$/],
        ['/api/commands?device_id=r&to=2&from=3', 'from must not be after to'],
        ['/api/commands?device_id=r&cursor=abc', 'cursor must be the next_cursor of an earlier answer, not "abc"'],
        ['/api/commands?device_id=r&kind=stop', 'unknown parameter "kind"'],
        ['/api/commands?device_id=r&fields=x', 'unknown parameter "fields"'],
        ['/api/commands?device_id=r&format=csv', 'unknown parameter "format"'],
        ['/api/events?kind=crash', `${kinds}"crash"`],
        ['/api/events?kind=', `${kinds}""`],
        ['/api/events?kind=stop,', `${kinds}""`],
        ['/api/events?kind=Stop', `${kinds}"Stop"`],
        ['/api/events?device_id=', /^device_id must be/],
        ['/api/events?limit=x', /^limit must be/],
        ['/api/events?limit=1&limit=2', 'limit was given more than once'],
        ['/api/events?cursor=x', /^cursor must be/],
        ['/api/events?step=1m', 'unknown parameter "step"'],
    ])
        it(target.slice(0, 80), async () => assertProblem(await rig.ask(target), 400, detail));

    it('a cursor of another walk', async () => {
        for (const ms of [T, T + 1]) {
            await rig.add('r', `${ms}-0`);
            await addCommand('r', ms, ms);
            await addEvent(`${ms}-0`, 'stop', 'r');
        }
        const walks = { telemetry: '/api/telemetry?device_id=r', commands: '/api/commands?device_id=r', events: '/api/events?device_id=r' };
        for (const [name, target] of Object.entries(walks)) {
            const { json } = await rig.ok(`${target}&limit=1`);
            for (const [other, to] of Object.entries(walks)) {
                const answer = await rig.ask(`${to}&cursor=${json.next_cursor}`);
                if (name === other) assert.equal(answer.status, 200);
                else assertProblem(answer, 400, `cursor belongs to a walk through ${name}`);
            }
        }
    });
});

describe('stop and control of a device', () => {
    const of = async (device) => {
        const { json } = await rig.ok(`/api/devices/${device}`);
        assert.deepEqual((await rig.ok('/api/devices')).json.items.find((item) => item.device_id === device), json);
        return { stop: json.stop, control: json.control };
    };
    beforeEach(() => rig.redis.call('ZADD', 'tr:devices', T, 'r', T, 'q'));

    it('says who stopped it, and whether the robot has confirmed', async () => {
        assert.deepEqual((await of('r')).stop, { stopped: false, confirmed: false, by: null, timestamp: null });
        await rig.redis.call('HSET', 'tr:ctl:r', 'seq', 1768473045123000, 'stopped', 1, 'sseq', 1768473045123000, 'by', 'guest-1a2b3c', 'at', T);
        assert.deepEqual((await of('r')).stop, { stopped: true, confirmed: false, by: 'guest-1a2b3c', timestamp: at(T) });
        await rig.redis.call('HSET', 'tr:ctl:r', 'confirmed', 1);
        assert.deepEqual((await of('r')).stop, { stopped: true, confirmed: true, by: 'guest-1a2b3c', timestamp: at(T) });
        await rig.redis.call('HSET', 'tr:ctl:r', 'stopped', 0, 'confirmed', 0, 'by', 'Stair "climber" ä', 'at', T + 5);
        assert.deepEqual((await of('r')).stop, { stopped: false, confirmed: false, by: 'Stair "climber" ä', timestamp: at(T + 5) });
        assert.equal((await of('q')).stop.timestamp, null);
    });

    it('says who has control, while the lease lasts', async () => {
        assert.deepEqual((await of('r')).control, { holder: null, epoch: 0 });
        const hold = (until) => rig.redis.call('HSET', 'tr:ctl:r', 'epoch', T, 'holder', 'wsd-1#aa/7', 'name', 'guest-1a2b3c', 'until', until);
        await hold(Date.now() + 60000);
        assert.deepEqual((await of('r')).control, { holder: 'guest-1a2b3c', epoch: T });
        await hold(Date.now() - 1);
        assert.deepEqual((await of('r')).control, { holder: null, epoch: T });
        await hold(Date.now() + 60000);
        await rig.redis.call('HSET', 'tr:ctl:r', 'holder', '', 'name', '');
        assert.deepEqual((await of('r')).control, { holder: null, epoch: T });
    });

    it('is not led astray by what else stands in Redis', async () => {
        await rig.redis.call('HSET', 'tr:ctl:r', 'stopped', 'yes', 'at', '1e400', 'epoch', '-7', 'until', 'inf', 'holder', 'x', 'by', '');
        await rig.redis.call('SET', 'tr:ctl:q', 'x');
        const none = { stop: { stopped: false, confirmed: false, by: null, timestamp: null }, control: { holder: null, epoch: 0 } };
        assert.deepEqual(await of('r'), none);
        assert.deepEqual(await of('q'), none);
    });
});
