// Requests that are wrong: each is refused with a problem that names the parameter and says what is allowed.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { ApiRig, assertProblem } from './lib/api.mjs';

const T = 1768473045123; // 2026-01-15T10:30:45.123Z

let rig;
const cursors = {};
before(async () => {
    rig = await ApiRig.start({ archive: true });
    rig.fill([]);
    for (let i = 0; i < 4; i++) {
        await rig.add('r', `${T + i}-0`);
        await rig.redis.call('XADD', 'tr:events', `${T + i}-0`, 'd', '"kind":"connected","device_id":"r"');
        await rig.redis.call('XADD', 'tr:cmds:r', `${T + i}-0`, 'd', `"seq":${i + 1},"by":"w","relay":"w","received_ms":${T},"outcome":"sent","command":{"type":"stop"}`);
    }
    for (const walk of ['telemetry', 'commands', 'events'])
        cursors[walk] = (await rig.ok(`/api/${walk}?device_id=r&limit=2`)).json.next_cursor;
    await rig.add('r', `${T + 5000}-0`);
    cursors.seconds = (await rig.ok('/api/telemetry?device_id=r&step=1s&limit=1')).json.next_cursor;
});
after(() => rig?.stop());

const telemetry = (query) => `/api/telemetry?${query}`;
const device = (query) => telemetry(`device_id=r&${query}`);
const long = (n, text = 'x') => text.repeat(n);

// A cursor of a walk through the buckets of a telemetry, as nobody gave it out (fcgi/cursor.c).
function forged({ descending, step, at, device }) {
    const raw = Buffer.alloc(33 + device.length + 4);
    raw[0] = 0x10 | (descending ? 1 : 0) | 2 | 8;
    raw.writeBigUInt64BE(at, 1);
    raw.writeBigUInt64BE(step, 9);
    raw.write(device, 33);
    let sum = 2166136261;
    for (const byte of raw.subarray(0, -4)) sum = Math.imul(sum ^ byte, 16777619) >>> 0;
    raw.writeUInt32BE(sum, raw.length - 4);
    return raw.toString('base64url');
}

// [target, what the answer's detail says]; a function as target is called when the rig is there.
const cases = [
    ['/api/telemetry', /^device_id is required$/],
    [telemetry('device_id='), /^device_id must be .* not ""$/],
    [telemetry('device_id=a,,b'), /^device_id must be/],
    [telemetry('device_id=a%20b'), /^device_id must be .* not "a b"$/],
    [telemetry('device_id=a/b'), /^device_id must be/],
    [telemetry('device_id=%C3%A4'), /not "\\xc3\\xa4"$/],
    [telemetry(`device_id=${'x'.repeat(65)}`), /^device_id must be .* not "x{40}\.\.\."$/],
    [telemetry(`device_id=${Array.from({ length: 65 }, (_, i) => `d${i}`).join(',')}`), /^device_id names more than 64 devices$/],
    [telemetry('device_id=%3Cscript%3E'), /not "<script>"$/],
    [telemetry('device_id=%22%5C%0A'), /not "\\x22\\x5c\\x0a"$/],
    [device('limit=abc'), /^limit must be a whole number from 1 to 10000, not "abc"$/],
    [device('limit=0'), /^limit must be/],
    [device('limit=-1'), /^limit must be/],
    [device('limit=10001'), /^limit must be/],
    [device('limit=99999999999999999999'), /^limit must be/],
    [device('limit=1.5'), /^limit must be/],
    [device('limit=1e3'), /^limit must be/],
    [device('limit='), /^limit must be/],
    [device('limit=%2010'), /^limit must be/],
    [device('limit=1&limit=2'), /^limit was given more than once$/],
    [device('order=up'), /^order must be desc or asc, not "up"$/],
    [device('order='), /^order must be/],
    [device('order=ASC'), /^order must be/],
    [device('order=asc&order=asc'), /^order was given more than once$/],
    [device('format=xml'), /^format must be json, columns, csv or ndjson, not "xml"$/],
    [device('format='), /^format must be json, columns, csv or ndjson, not ""$/],
    [device('format=CSV'), /^format must be/],
    [device('format=csv&format=csv'), /^format was given more than once$/],
    [device('format=json%00'), /^broken percent escape/],
    [device('from=yesterday'), /^from must be RFC 3339 .* not "yesterday"$/],
    [device('from='), /^from must be/],
    [device('from=2026-01-15'), /^from must be/],
    [device('from=2026-01-15T10:30:45'), /^from must be/],
    [device('from=2026-13-15T10:30:45Z'), /^from must be/],
    [device('from=-15'), /^from must be/],
    [device('from=-15w'), /^from must be/],
    [device('to=1e12'), /^to must be/],
    [device('to=99999999999999999'), /^to must be/],
    [device('to=now&to=now'), /^to was given more than once$/],
    [device('from=2&to=1'), /^from must not be after to$/],
    [device('from=now&to=-1h'), /^from must not be after to$/],
    [device('fields='), /^fields must be/],
    [device('fields=cpu,'), /^fields must be/],
    [device('fields=a-b'), /^fields must be .* not "a-b"$/],
    [device('fields=a&fields=b'), /^fields was given more than once$/],
    [device(`fields=${Array.from({ length: 37 }, (_, i) => `f${i}`).join(',')}`), /^fields names more than 36 metrics$/],
    [device('cursor='), /^cursor must be/],
    [device('cursor=abc'), /^cursor must be the next_cursor of an earlier answer, not "abc"$/],
    [device(`cursor=${'A'.repeat(3000)}`), /^cursor must be/],
    [device('bogus=1'), /^unknown parameter "bogus"$/],
    [device('Limit=1'), /^unknown parameter "Limit"$/],
    [device('=1'), /has no name$/],
    [device('limit=%'), /^broken percent escape/],
    [device('limit=%zz'), /^broken percent escape/],
    [device('limit=%00'), /^broken percent escape/],
    [device(Array.from({ length: 100 }, () => 'a=1').join('&')), /^more than 96 query parameters$/],
    ['/api/devices?x=1', /^unknown parameter "x"$/],
    ['/api/devices/r?x=1', /^unknown parameter "x"$/],
    ['/api/battery-history/?limit=5', /^unknown parameter "limit"$/],
    ['/api/battery-history/?device_id=a%2Fb', /^device_id must be/],
    ['/livez?x', /^unknown parameter "x"$/],
    ['/readyz?x', /^unknown parameter "x"$/],
    ['/metrics?x', /^unknown parameter "x"$/],

    // Empty, twice, too long, and in the wrong case.
    [telemetry('device_id=&device_id=r'), /^device_id must be .* not ""$/],
    [telemetry('device_id=r,'), /^device_id must be/],
    [telemetry('Device_ID=r'), /^unknown parameter "Device_ID"$/],
    [telemetry(`device_id=${long(65)}&limit=1`), /^device_id must be 1 to 64 of/],
    [telemetry('device_id=..%2F..%2Fetc'), /^device_id must be .* not "\.\.\/\.\.\/etc"$/],
    [telemetry('device_id=r%E2%80%AE'), /^device_id must be/],
    [device('to='), /^to must be RFC 3339/],
    [device('to=NOW'), /^to must be .* not "NOW"$/],
    [device('from=now%20'), /^from must be/],
    [device(`from=${long(100, '1')}`), /^from must be .* not "1{40}\.\.\."$/],
    [device('from=-1D'), /^from must be/],
    [device('from=--1d'), /^from must be/],
    [device('from=-9999999999d'), /^from must be/],
    [device('from=1768473045.'), /^from must be/],
    [device('from=1768473045,5'), /^from must be/],
    [device('from=0x10'), /^from must be/],
    [device('from=NaN'), /^from must be/],
    [device('from=2026-02-30T00:00:00Z'), /^from must be/],
    [device('from=2026-01-15T24:00:00Z'), /^from must be/],
    [device('from=2026-01-15T10:30:45%2B25:00'), /^from must be/],
    [device('from=1&from=1'), /^from was given more than once$/],
    [device('from=2026-01-15T10:30:45.124Z&to=2026-01-15T10:30:45.123Z'), /^from must not be after to$/],
    [device('from=-1h&to=-2h'), /^from must not be after to$/],
    [device('limit=010000'), /^limit must be/],
    [device('limit=%2B5'), /^limit must be .* not "\+5"$/],
    [device('limit=5%0A'), /^limit must be .* not "5\\x0a"$/],
    [device('limit=%D9%A5'), /^limit must be .* not "\\xd9\\xa5"$/],
    [device('limit=10000.0'), /^limit must be/],
    [device('limit='.padEnd(4000, '9')), /^limit must be/],
    [device('order=desc%20'), /^order must be desc or asc, not "desc "$/],
    [device('order=asc,desc'), /^order must be/],
    [device('format=json,csv'), /^format must be/],
    [device('fields=,cpu'), /^fields must be a comma list of metric names, not ""$/],
    [device('fields=1st'), /^fields must be .* not "1st"$/],
    [device(`fields=${long(33)}`), /^fields must be/],
    [device('fields=cpu%2C%2Cbattery'), /^fields must be/],
    [device('fields=*'), /^fields must be .* not "\*"$/],
    [device('kind=stop'), /^unknown parameter "kind"$/],
    [device(`${long(33, 'n')}=1`), /^unknown parameter "n{33}"$/],
    [device('%00=1'), /^broken percent escape/],
    [device('%FF=1'), /^unknown parameter "\\xff"$/],
    [device('limit=%c3%28'), /^limit must be .* not "\\xc3\("$/],
    [device('limit=%u0031'), /^broken percent escape .* "%u0031"$/],
    [device('limit=1%'), /^broken percent escape/],
    [device('limit=1%2'), /^broken percent escape/],
    [device(`bogus=${long(7000)}`), /^unknown parameter "bogus"$/],

    // Cursors of other walks, and such as nobody has given out.
    [() => device(`cursor=${cursors.commands}`), /^cursor belongs to a walk through commands$/],
    [() => device(`cursor=${cursors.events}`), /^cursor belongs to a walk through events$/],
    [() => `/api/commands?device_id=r&cursor=${cursors.telemetry}`, /^cursor belongs to a walk through telemetry$/],
    [() => `/api/events?cursor=${cursors.telemetry}`, /^cursor belongs to a walk through telemetry$/],
    [() => device(`order=asc&cursor=${cursors.telemetry}`), /^cursor belongs to a walk with order=desc$/],
    [() => device(`cursor=${cursors.telemetry}&cursor=${cursors.telemetry}`), /^cursor was given more than once$/],
    [() => device(`cursor=${cursors.telemetry.slice(0, -1)}`), /^cursor must be the next_cursor of an earlier answer/],
    [() => device(`cursor=${cursors.telemetry}A`), /^cursor must be/],
    [() => device(`cursor=${cursors.telemetry}%3D`), /^cursor must be/],
    [() => device(`cursor=${cursors.telemetry.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))}`), /^cursor must be/],
    [device('cursor=null'), /^cursor must be .* not "null"$/],

    // Buckets.
    [device('step='), /^step must be a whole number with s, m, h or d behind it, from 1s to 366d, not ""$/],
    [device('step=10'), /^step must be .* not "10"$/],
    [device('step=m'), /^step must be/],
    [device('step=0s'), /^step must be .* not "0s"$/],
    [device('step=-1m'), /^step must be/],
    [device('step=1.5h'), /^step must be/],
    [device('step=1500ms'), /^step must be .* not "1500ms"$/],
    [device('step=1w'), /^step must be/],
    [device('step=1H'), /^step must be/],
    [device('step=1m%20'), /^step must be .* not "1m "$/],
    [device('step=367d'), /^step must be/],
    [device('step='.padEnd(4000, '9')), /^step must be/],
    [device('step=1m,1h'), /^step must be/],
    [device('step=1m&step=1m'), /^step was given more than once$/],
    [device('from=-1h&points='), /^points must be a whole number from 1 to 10000, not ""$/],
    [device('from=-1h&points=0'), /^points must be/],
    [device('from=-1h&points=-5'), /^points must be/],
    [device('from=-1h&points=10001'), /^points must be .* not "10001"$/],
    [device('from=-1h&points=1e3'), /^points must be/],
    [device('from=-1h&points=99999999999999999999'), /^points must be/],
    [device('from=-1h&points=5&points=5'), /^points was given more than once$/],
    [device('points=5'), /^points needs from$/],
    [device('to=now&points=5'), /^points needs from$/],
    [device('from=-1h&points=5&step=1m'), /^step and points exclude each other; give one of them$/],
    [device('agg=avg'), /^agg needs step or points$/],
    [device('agg=avg&limit=5&format=csv'), /^agg needs step or points$/],
    [device('step=1m&agg='), /^agg must be avg, min, max, last or count, or a comma list of them, not ""$/],
    [device('step=1m&agg=median'), /^agg must be .* not "median"$/],
    [device('step=1m&agg=AVG'), /^agg must be/],
    [device('step=1m&agg=avg,,max'), /^agg must be .* not ""$/],
    [device('step=1m&agg=avg&agg=min;max'), /^agg must be .* not "min;max"$/],
    [device('step=1m&limit=10001'), /^limit must be/],
    [device('step=1m&from=2&to=1'), /^from must not be after to$/],
    [() => device(`step=1m&cursor=${cursors.telemetry}`), /^cursor belongs to a walk without step and points$/],
    [() => device(`from=-1h&points=5&cursor=${cursors.telemetry}`), /^cursor belongs to a walk without step and points$/],
    [() => device(`step=1m&cursor=${cursors.commands}`), /^cursor belongs to a walk through commands$/],
    [() => device(`cursor=${cursors.seconds}`), /^cursor belongs to a walk with step=1s$/],
    [() => device(`step=1m&cursor=${cursors.seconds}`), /^cursor belongs to a walk with step=1s$/],
    [() => device(`step=1s&order=asc&cursor=${cursors.seconds}`), /^cursor belongs to a walk with order=desc$/],
    ['/api/commands?device_id=r&step=1m', /^unknown parameter "step"$/],
    ['/api/events?points=5', /^unknown parameter "points"$/],

    // The other walks.
    ['/api/commands', /^device_id is required$/],
    ['/api/commands?device_id=r&format=csv', /^unknown parameter "format"$/],
    ['/api/commands?device_id=r&fields=seq', /^unknown parameter "fields"$/],
    ['/api/commands?device_id=r&limit=10001', /^limit must be a whole number from 1 to 10000/],
    ['/api/commands?device_id=r&from=x', /^from must be/],
    ['/api/events?kind=', /^kind must be connected, .* not ""$/],
    ['/api/events?kind=STOP', /^kind must be .* not "STOP"$/],
    ['/api/events?kind=stop,', /^kind must be/],
    ['/api/events?device_id=a%2Fb', /^device_id must be/],
    ['/api/events?order=', /^order must be/],
    ['/api/events?format=json', /^unknown parameter "format"$/],
];

describe('bad requests', () => {
    for (const [target, detail] of cases) {
        const title = String(target);
        it(title.length > 80 ? `${title.slice(0, 80)}…` : title, async () => {
            const answer = await rig.ask(typeof target === 'function' ? target() : target);
            assertProblem(answer, 400, detail);
            assert.equal(answer.headers['cache-control'], 'no-store');
            assert.match(answer.json.detail, /^[\x20-\x7e]+$/);
        });
    }

    it('are many', () => assert.ok(cases.length >= 60, `${cases.length}`));
    it('a cursor of an endless step, with a sound checksum', async () => {
        for (const [step, at] of [[2n ** 63n - 1n, 0n], [1000n << 50n, 0n], [1000n, 2n ** 64n - 1000n - (2n ** 64n % 1000n)]]) {
            for (const order of ['asc', 'desc']) {
                const cursor = forged({ descending: order === 'desc', step, at, device: order === 'desc' ? 'z' : 'a' });
                for (const format of ['columns', 'json']) {
                    const target = device(`from=1970-01-01T00:00:00Z&points=5&order=${order}&format=${format}&cursor=${cursor}`);
                    assertProblem(await rig.ask(target), 400, /^cursor must be the next_cursor of an earlier answer, not /);
                }
            }
        }
    });
    it('HEAD is refused alike', async () => {
        const answer = await rig.ask(device('limit=0'), { method: 'HEAD' });
        assert.equal(answer.status, 400);
        assert.equal(answer.text, '');
    });
    it('the workers live on', () => assert.equal(rig.api.workers().length, 4));
});
