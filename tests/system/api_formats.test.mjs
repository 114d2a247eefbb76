// GET /api/telemetry as columns, lines of JSON and CSV: pages of them, and whole ranges in constant memory.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { ApiRig, assertProblem } from './lib/api.mjs';
import { until, within } from './lib/wait.mjs';

const T = 1768473045123; // 2026-01-15T10:30:45.123Z

let rig, count = 0;
before(async () => {
    rig = await ApiRig.start({ archive: true });
    rig.fill([]);
});
after(() => rig?.stop());
const name = () => `robot_${count++}`;
const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
const rows = (text) => {
    assert.ok(text.endsWith('\r\n'));
    return text.slice(0, -2).split('\r\n');
};

// Reads an answer piece by piece: {status, headers, bytes, lines, complete}. `onData` sees each piece.
function stream(target, { port = rig.port, onData = () => {} } = {}) {
    return within(new Promise((resolve, reject) => {
        http.get({ host: '127.0.0.1', port, path: target, agent: false }, (answer) => {
            const seen = { status: answer.statusCode, headers: answer.headers, bytes: 0, lines: 0, tail: '' };
            answer.on('data', (data) => {
                seen.bytes += data.length;
                for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) seen.lines++;
                seen.tail = (seen.tail + data.toString('latin1')).slice(-200);
                onData(seen, answer);
            });
            answer.on('error', () => {});
            answer.on('close', () => resolve({ ...seen, complete: answer.complete }));
        }).on('error', reject);
    }), 120000, target);
}

describe('columns', () => {
    it('are ascending, with units, and null for a gap', async () => {
        const device = name();
        await rig.add(device, `${T}-0`, '"battery":85,"cpu":38,"temperature":41.20,"signal":93');
        await rig.add(device, `${T + 877}-0`, '"battery":84');
        await rig.add(device, `${T + 877}-1`, '"volt":1e-7,"cpu":1,"amp":-0.5');
        const target = `/api/telemetry?device_id=${device}&format=columns`;
        const { text, headers } = await rig.ok(target);
        assert.equal(headers['content-type'], 'application/json');
        assert.equal(text, '{"fields":["timestamp","battery","cpu","temperature","signal","amp","volt"],"units":["s","%","%","°C","%","",""],' +
            '"data":[[1768473045.123,1768473046,1768473046.000001],[85,84,null],[38,null,1],[41.20,null,null],[93,null,null],' +
            '[null,null,-0.5],[null,null,1e-7]],"count":3,"next_cursor":null}');
        assert.equal((await rig.ok(`${target}&order=asc`)).text, text);
        assert.equal((await rig.ok(`${target}&fields=volt,nothing,battery`)).text, '{"fields":["timestamp","volt","nothing","battery"],"units":["s","","","%"],' +
            '"data":[[1768473045.123,1768473046,1768473046.000001],[null,null,1e-7],[null,null,null],[85,84,null]],"count":3,"next_cursor":null}');
        assert.equal((await rig.ok(`/api/telemetry?device_id=nobody&format=columns`)).text,
            '{"fields":["timestamp","battery","cpu","temperature","signal"],"units":["s","%","%","°C","%"],"data":[[],[],[],[],[]],"count":0,"next_cursor":null}');
    });

    it('order says which end the limit takes, and the walk goes on from there', async () => {
        const device = name();
        for (let i = 0; i < 25; i++) await rig.add(device, `${T + i}-0`, `"battery":${i}`);
        await rig.archive(device, { hot: 8 });
        for (const order of ['asc', 'desc']) {
            let pages = [];
            for (let next = `/api/telemetry?device_id=${device}&format=columns&limit=10&order=${order}`; next;) {
                const { json, headers } = await rig.ok(next);
                assert.equal(json.count, json.data[0].length);
                pages.push(json.data[1]);
                next = headers.link && /^<([^>]+)>; rel="next"$/.exec(headers.link)[1];
                assert.equal(!next, json.next_cursor === null);
            }
            assert.deepEqual(pages.map((page) => page.length), [10, 10, 5]);
            if (order === 'desc') pages = pages.reverse();
            assert.deepEqual(pages.flat(), Array.from({ length: 25 }, (_, i) => i));
        }
    });

    it('of several devices: named by device, one row for each time', async () => {
        const [a, b] = [name(), name()];
        await rig.add(a, `${T}-0`, '"battery":1');
        await rig.add(b, `${T}-0`, '"battery":2,"x":3');
        await rig.add(b, `${T + 1}-0`, '"cpu":4');
        for (let i = 0; i < 3; i++) await rig.add(a, `${T + 2}-${i}`, `"battery":${i}`);
        await rig.add(b, `${T + 2}-1`, '"battery":9');
        const { json } = await rig.ok(`/api/telemetry?device_id=${b},${a}&format=columns`);
        const column = (field) => json.data[json.fields.indexOf(field)];
        assert.deepEqual(json.fields, ['timestamp', ...['battery', 'cpu', 'temperature', 'signal'].map((f) => `${a}.${f}`),
            ...['battery', 'cpu', 'temperature', 'signal', 'x'].map((f) => `${b}.${f}`)]);
        assert.deepEqual(column('timestamp'), [0, 0.001, 0.002, 0.002001, 0.002002].map((s) => Math.round(T * 1000 + s * 1e6) / 1e6));
        assert.deepEqual(column(`${a}.battery`), [1, null, 0, 1, 2]);
        assert.deepEqual(column(`${b}.battery`), [2, null, null, 9, null]);
        assert.deepEqual(column(`${b}.x`), [3, null, null, null, null]);
    });

    it('the largest page of the most devices, and one that is too large', async () => {
        const devices = Array.from({ length: 64 }, () => name());
        rig.fill(devices.map((device) => ['series', device, T, 1000, 200]));
        const { json } = await rig.ok(`/api/telemetry?device_id=${devices.join(',')}&format=columns&limit=10000&order=asc`);
        assert.equal(json.fields.length, 1 + 64 * 4);
        assert.equal(json.count, 157); // 10,000 samples in 64s: the last row is not complete
        json.data.forEach((data) => assert.equal(data.length, 157));
        rig.fill(devices.map((device, i) => ['series', device, T + 300000 + i, 1000, 200]));
        const wide = `/api/telemetry?device_id=${devices.join(',')}&format=columns&limit=10000&from=${T + 300000}&fields=${Array.from({ length: 36 }, (_, i) => `f${i}`)}`;
        assertProblem(await rig.ask(wide), 400, 'this table would be too large; choose with fields, or a smaller limit');
    });
});

describe('lines of JSON', () => {
    it('are the items, and pages of them', async () => {
        const device = name();
        for (let i = 0; i < 25; i++) await rig.add(device, `${T + i}-0`, `"battery":${i},"volt":${i}.50`);
        await rig.archive(device, { hot: 8 });
        const { json } = await rig.ok(`/api/telemetry?device_id=${device}`);
        const whole = await rig.ok(`/api/telemetry?device_id=${device}&format=ndjson&from=${T}`);
        assert.equal(whole.headers['content-type'], 'application/x-ndjson');
        assert.deepEqual(lines(whole.text), json.items);
        assert.equal(whole.headers.link, undefined);
        const first = await rig.ok(`/api/telemetry?device_id=${device}&format=ndjson&limit=20&fields=volt`);
        assert.match(first.text, /^\{"id":"\d+-0","device_id":"robot_\d+","timestamp":"[^"]+","volt":24\.50\}\n/);
        const second = await rig.ok(/^<([^>]+)>; rel="next"$/.exec(first.headers.link)[1]);
        assert.deepEqual([...lines(first.text), ...lines(second.text)].map((item) => item.id), json.items.map((item) => item.id));
    });
});

describe('a whole range', () => {
    it('needs from and no limit', async () => {
        const device = name();
        rig.fill([['series', device, T, 1000, 250]]);
        const get = async (query) => rows((await rig.ok(`/api/telemetry?device_id=${device}&format=csv${query}`)).text).length - 1;
        assert.equal(await get(''), 100);
        assert.equal(await get(`&from=${T}&limit=120`), 120);
        assert.equal(await get(`&from=${T}`), 250);
        assert.equal(await get(`&from=${T + 1000}&to=${T + 9000}`), 9);
        assert.equal(await get('&from=-1m'), 0);
    });

    it('has every metric, wherever it occurs', async () => {
        const [a, b] = [name(), name()];
        for (let i = 0; i < 9000; i += 500) await Promise.all(Array.from({ length: 500 }, (_, k) => rig.add(a, `${T + i + k}-0`, '"battery":1')));
        await rig.add(a, `${T + 10000}-0`, '"once":7');
        await rig.add(a, `${T + 10001}-0`, '"battery":2');
        await rig.archive(a, { hot: 5 });
        await rig.add(a, `${T + 10002}-0`, '"late":8,"device_id":5');
        await rig.add(b, `${T + 4000}-5`, '"other":9');
        const { text, headers } = await rig.ok(`/api/telemetry?device_id=${a},${b}&format=csv&from=${T}&order=asc`);
        const [head, ...table] = rows(text);
        assert.equal(headers['content-type'], 'text/csv; charset=utf-8');
        assert.equal(head, 'timestamp,device_id,battery,cpu,temperature,signal,late,once,other');
        assert.equal(table.length, 9004);
        assert.equal(table[4001], `2026-01-15T10:30:49.123Z,${b},,,,,,,9`);
        assert.deepEqual(table.slice(-3).map((row) => row.split(',').slice(2).join()), [',,,,,7,', '2,,,,,,', ',,,,8,,']);
        const down = rows((await rig.ok(`/api/telemetry?device_id=${a},${b}&format=csv&from=${T}`)).text);
        assert.deepEqual(down.slice(1).reverse(), table);
        const some = rows((await rig.ok(`/api/telemetry?device_id=${a}&format=csv&from=${T}&fields=once`)).text);
        assert.equal(some[0], 'timestamp,device_id,once');
        assert.equal(some.filter((row) => row.endsWith(',7')).length, 1);
    });

    it('too many metrics for one table are refused', async () => {
        const device = name();
        for (let i = 0; i < 10; i++) await rig.add(device, `${T + i}-0`, Array.from({ length: 30 }, (_, k) => `"m${i}_${k}":1`).join());
        for (const query of [`from=${T}`, 'limit=100'])
            assertProblem(await rig.ask(`/api/telemetry?device_id=${device}&format=csv&${query}`), 400, /too many different metrics for one table; choose with fields$/);
        assert.equal(rows((await rig.ok(`/api/telemetry?device_id=${device}&format=csv&from=${T}&fields=m9_3`)).text).length, 11);
    });

    it('ends, although samples arrive all the while', async () => {
        const device = name();
        rig.fill([['series', device, T, 1, 200000]]);
        const first = Date.now();
        let ms = first, done = false;
        await rig.add(device, `${ms++}-0`);
        const arriving = (async () => {
            while (!done) await Promise.all(Array.from({ length: 50 }, () => rig.add(device, `${ms++}-0`)));
        })();
        for (const order of ['asc', 'desc']) {
            const sent = ms - first - 1;
            const answer = await stream(`/api/telemetry?device_id=${device}&format=ndjson&from=${T}&order=${order}`);
            assert.ok(answer.complete);
            assert.ok(answer.lines >= 200001 + sent - 50 && answer.lines <= 200001 + ms - first, `${answer.lines}`);
        }
        done = true;
        await arriving;
    });

    it('HEAD says what it is, and reads nothing', async () => {
        const head = await rig.ok(`/api/telemetry?device_id=nobody&format=csv&from=${T}`, { method: 'HEAD' });
        assert.equal(head.headers['content-type'], 'text/csv; charset=utf-8');
        assert.equal(head.headers['content-length'], undefined);
        assert.equal(head.text, '');
    });

    it('a million rows take no more memory than fewer', async () => {
        const device = name(), n = 1000000;
        rig.fill([['series', device, T, 1000, n]]);
        // The sanitizer holds back what is freed, to find whoever uses it still.
        const env = { ASAN_OPTIONS: `${rig.sanitizers('million').ASAN_OPTIONS}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64` };
        const api = await rig.startApi('million', { workers: 1 }, { env });
        const port = await rig.startNginx(rig.socket('million'));
        const status = (pid, key) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
        const [nginx] = await until(() => rig.fronts.at(-1).workers().length && rig.fronts.at(-1).workers(), 5000, "nginx's worker");
        // A part of it fills the database's page cache.
        for (const format of ['csv', 'ndjson']) await stream(`/api/telemetry?device_id=${device}&format=${format}&from=${T}&to=${T + 400000 * 1000}`, { port });
        const [worker] = api.workers();
        const small = status(worker, 'VmRSS'), front = status(nginx, 'VmRSS');
        for (const format of ['csv', 'ndjson']) {
            let most = 0, first, frontMost = 0;
            const begun = performance.now();
            const answer = await stream(`/api/telemetry?device_id=${device}&format=${format}&from=${T}&order=asc`, {
                port,
                onData: () => {
                    first ??= performance.now() - begun;
                    most = Math.max(most, status(worker, 'VmRSS'));
                    frontMost = Math.max(frontMost, status(nginx, 'VmRSS'));
                },
            });
            const seconds = (performance.now() - begun) / 1000;
            assert.ok(answer.complete);
            assert.equal(answer.lines, format === 'csv' ? n + 1 : n);
            console.log(`# figure: export_${format}_million ${Math.round(n / seconds)} rows/s, first bytes after ${Math.round(first)} ms, ` +
                `RSS of the worker ${small} kB before, at most ${most} kB, nginx ${front} kB before, at most ${frontMost} kB`);
            assert.ok(most - small < 4096, `${small} → ${most} kB`);
            assert.ok(frontMost - front < 4096, `nginx ${front} → ${frontMost} kB`);
            assert.ok(first < seconds * 500 + 500, 'it comes as it is read');
        }
        assert.deepEqual(api.workers(), [worker]);
        assert.equal((await api.stop()).code, 0);
    });
});

describe('what fails in the middle is seen to be cut', () => {
    // Stops reading after the first bytes; `then` fails what is read from, and the rest is read.
    const cut = async (target, port, then) => {
        let done = false;
        return stream(target, {
            port,
            onData: (seen, answer) => {
                if (done) return;
                done = true;
                answer.pause();
                then().then(() => answer.resume());
            },
        });
    };

    for (const format of ['csv', 'ndjson']) {
        it(`${format}: Redis is killed`, async () => {
            const device = name();
            for (let i = 0; i < 60000; i += 1000) await Promise.all(Array.from({ length: 1000 }, (_, k) => rig.add(device, `${T + i + k}-0`, Array.from({ length: 20 }, (_, m) => `"metric_number_${m}":${i + k}`).join())));
            const api = await rig.startApi('cut', { workers: 1, 'redis-ms': 300 });
            const port = await rig.startNginx(rig.socket('cut'), { spool: false });
            const target = `/api/telemetry?device_id=${device}&format=${format}&from=${T}`;
            assert.ok((await stream(target, { port })).complete);
            const answer = await cut(target, port, async () => {
                await rig.redisPart.stop('SIGKILL');
                rig.redis.close();
            });
            assert.equal(answer.status, 200);
            assert.equal(answer.complete, false, `${answer.lines} lines look like all of it`);
            assert.ok(answer.lines > 0 && answer.lines < 60000);
            await api.says(/event=redis_away/);
            await rig.startRedis();
            assert.ok((await stream(target, { port })).complete);
            assert.equal((await api.stop()).code, 0);
            await rig.redis.call('DEL', `tr:tel:${device}`);
        });
    }

    it('the archive goes away', async () => {
        const device = name();
        rig.fill([['series', device, T, 1000, 1000000]]);
        const api = await rig.startApi('gone', { workers: 1, 'archive-ms': 300 });
        const port = await rig.startNginx(rig.socket('gone'), { spool: false });
        const file = rig.database.slice('sqlite:'.length);
        const answer = await cut(`/api/telemetry?device_id=${device}&format=csv&from=${T}`, port, async () => {
            // What it has open stays readable, so the file itself is made to be no database.
            fs.copyFileSync(file, `${file}.copy`);
            fs.truncateSync(file, 4096);
            fs.writeFileSync(file, Buffer.alloc(1 << 20, 'x'));
        });
        assert.equal(answer.complete, false, `${answer.lines} lines look like all of it`);
        await api.says(/event=archive_away/);
        fs.copyFileSync(`${file}.copy`, file);
        assert.equal((await api.stop()).code, 0);
    });

    it('half of the workers at most are held by those who do not read', async () => {
        const device = name();
        rig.fill([['series', device, T, 1000, 400000]]);
        const api = await rig.startApi('held', { workers: 2, 'request-s': 60 });
        const port = await rig.startNginx(rig.socket('held'), { spool: false });
        const target = `/api/telemetry?device_id=${device}&format=ndjson&from=${T}`;
        const refused = async () => {
            const answer = await rig.ask(target, { port });
            assertProblem(answer, 503, 'as many whole ranges as may be at a time are being answered; try again shortly');
            assert.equal(answer.headers['retry-after'], '5');
            assert.equal((await rig.ok(`${target}&limit=5`, { port })).text.split('\n').length, 6);
        };
        assert.ok((await cut(target, port, refused)).complete);
        // A worker that ends in the middle holds no one up.
        const killed = await cut(target, port, async () => {
            await refused();
            for (const worker of api.workers()) process.kill(worker, 'SIGKILL');
        });
        assert.equal(killed.complete, false);
        assert.ok((await stream(target, { port })).complete);
        assert.equal((await api.stop()).code, 0);
    });

    it('a worker is killed, or needs too long for one part', async () => {
        const device = name();
        rig.fill([['series', device, T, 1000, 400000]]);
        const api = await rig.startApi('late', { workers: 1, 'request-s': 1 });
        const port = await rig.startNginx(rig.socket('late'), { spool: false });
        const target = `/api/telemetry?device_id=${device}&format=ndjson&from=${T}`;
        const killed = await cut(target, port, async () => process.kill(api.workers()[0], 'SIGKILL'));
        assert.equal(killed.complete, false);
        await until(() => api.workers().length === 1, 5000, 'a new worker');
        const late = await cut(target, port, () => api.says(/event=request_timed_out/, 10000));
        assert.equal(late.complete, false);
        assert.ok((await stream(target, { port })).complete);
        assert.equal((await api.stop()).code, 0);
    });
});

describe('what may be kept', () => {
    let device, target;
    before(async () => {
        device = name();
        const now = Date.now();
        for (let i = 0; i < 20; i++) await rig.add(device, `${now - 60000 + i * 1000}-0`, `"battery":${i}`);
        target = `/api/telemetry?device_id=${device}&from=${now - 60000}&to=${now - 50000}`;
    });
    const conditional = (url, tag, options = {}) => rig.ask(url, { headers: { 'If-None-Match': tag }, ...options });

    it('a closed range has a strong tag and a 304', async () => {
        for (const more of ['', '&format=columns', '&format=csv', '&format=ndjson', '&limit=3', '&limit=3&order=asc', '&fields=cpu']) {
            const { headers, text } = await rig.ok(target + more);
            assert.match(headers.etag, /^"[0-9a-f]{16}"$/);
            assert.equal(headers['cache-control'], 'private, max-age=86400');
            assert.equal((await rig.ok(target + more)).headers.etag, headers.etag);
            for (const tag of [headers.etag, `W/${headers.etag}`, '*', `"other", ${headers.etag}`, `W/"x",W/${headers.etag} , "y"`]) {
                const answer = await conditional(target + more, tag);
                assert.equal(answer.status, 304, tag);
                assert.equal(answer.text, '');
                assert.equal(answer.headers.etag, headers.etag);
                assert.equal(answer.headers['cache-control'], 'private, max-age=86400');
                assert.equal(answer.headers['content-type'], undefined);
            }
            for (const tag of ['"other"', headers.etag.slice(1, -1), `w/${headers.etag}`, `${headers.etag} x`, `x, ${headers.etag}`]) {
                const answer = await conditional(target + more, tag);
                assert.equal(answer.status, 200, tag);
                assert.equal(answer.text, text);
            }
            const head = await rig.ok(target + more, { method: 'HEAD' });
            assert.equal(head.headers.etag, headers.etag);
            assert.equal((await conditional(target + more, headers.etag, { method: 'HEAD' })).status, 304);
        }
        assert.match((await rig.ok('/metrics')).text, /^telerelay_api_requests_total\{route="telemetry",status="304"\} \d+$/m);
    });

    it('another request has another tag; the same one written otherwise has not', async () => {
        const tags = new Set();
        const urls = ['', '&limit=100', '&limit=99', '&order=asc', '&format=csv', '&format=ndjson', '&fields=cpu', '&fields=cpu,battery', '&fields=battery,cpu', '&fields=id'];
        for (const url of urls) tags.add((await rig.ok(target + url)).headers.etag);
        assert.equal(tags.size, urls.length);
        const tag = (await rig.ok(target)).headers.etag;
        assert.equal((await rig.ok(`/api/telemetry?${new URLSearchParams([...new URLSearchParams(target.split('?')[1])].reverse())}`)).headers.etag, tag);
        assert.equal((await rig.ok(`${target}&order=desc&format=json`)).headers.etag, tag);
    });

    it('a gap that was found since changes the tag; one that is not found yet leaves none', async () => {
        const lossy = name(), now = Date.now(), file = rig.database.slice('sqlite:'.length);
        for (let i = 0; i < 20; i++) await rig.add(lossy, `${now - 60000 + i * 1000}-0`);
        const url = `/api/telemetry?device_id=${lossy}&from=${now - 60000}&to=${now - 50000}`;
        const { etag } = (await rig.ok(url)).headers; // all of it is in Redis
        const position = await rig.archive(lossy, { hot: 15 });
        assert.equal((await conditional(url, etag)).status, 304);
        await rig.add(lossy, `${now}-0`);
        await rig.add(lossy, `${now + 1}-0`);
        await rig.redis.call('XTRIM', `tr:tel:${lossy}`, 'MAXLEN', 1);
        assert.equal((await conditional(url, etag)).headers.etag, undefined);
        await rig.archive(lossy, { after: position });
        assert.equal((await conditional(url, etag)).status, 304); // it was behind the range
        execFileSync('sqlite3', ['-batch', file, `INSERT INTO gaps (kind, device, after_ms, after_seq, before_ms, before_seq, noticed_ms)
            SELECT 0, id, ${now - 55000}, 0, ${now - 53000}, 0, ${now} FROM devices WHERE device_id = '${lossy}'`]);
        const answer = await conditional(url, etag);
        assert.equal(answer.status, 200);
        assert.match(answer.headers.etag, /^"/);
        assert.notEqual(answer.headers.etag, etag);
        assert.equal((await conditional(url, answer.headers.etag)).status, 304);
    });

    it('an open range, a moving one, one that loses samples soon, and an unknown device have none', async () => {
        const now = Date.now(), last = (await rig.redis.samples(device)).at(-1).ms;
        for (const query of [`device_id=${device}`, `device_id=${device}&from=${last - 5000}`, `device_id=${device}&from=${last - 5000}&to=${last}`,
            `device_id=${device}&from=-1h&to=${last - 1}`, `device_id=${device}&from=${now - 3600000}&to=-50s`, `device_id=${device}&to=${last - 1}`,
            `device_id=${device}&from=${now - 89.5 * 86400000}&to=${last - 1}`, `device_id=${device},nobody&from=${last - 5000}&to=${last - 1}`,
            `device_id=${device}&from=1960-01-01T00:00:00Z&to=1960-01-02T00:00:00Z`]) {
            const answer = await conditional(`/api/telemetry?${query}`, '*');
            assert.equal(answer.status, 200, query);
            assert.equal(answer.headers.etag, undefined, query);
            assert.equal(answer.headers['cache-control'], 'no-store', query);
        }
        assert.match((await rig.ok(`/api/telemetry?device_id=${device}&from=${last - 5000}&to=${last - 1}`)).headers.etag, /^"/);
    });

    it('a 304 reads no sample', async () => {
        const calls = async () => Object.fromEntries((await rig.redis.call('INFO', 'commandstats')).split('\r\n')
            .map((line) => /^cmdstat_(\w+):calls=(\d+)/.exec(line)).filter(Boolean).map((m) => [m[1], Number(m[2])]));
        const { etag } = (await rig.ok(target)).headers;
        await rig.redis.call('CONFIG', 'RESETSTAT');
        assert.equal((await conditional(target, etag)).status, 304);
        const { xrange = 0, xrevrange = 0 } = await calls();
        assert.deepEqual([xrange, xrevrange], [1, 1]); // where the stream begins and ends
    });

    it('an answer that is a problem is not kept', async () => {
        const answer = await rig.ask(`${target}&limit=0`);
        assertProblem(answer, 400);
        assert.equal(answer.headers.etag, undefined);
        assert.equal(answer.headers['cache-control'], 'no-store');
    });
});
