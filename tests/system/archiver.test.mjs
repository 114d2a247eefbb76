// Goal: what is in Redis' streams gets into the archive, each entry once, whatever is killed, stopped or away meanwhile;
// what is trimmed from Redis is in the archive; and what was lost before that is known.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { Archiving, databases, ids, locked, program, sanitizerEnv, temporaryDirectory, until } from './lib/archiver.mjs';

const T = 1768473045000;

for (const database of Object.keys(databases)) {
    describe(`the archiver with ${database}`, () => {
        let rig;
        before(async () => { rig = await Archiving.start(database); });
        after(() => rig.stop());
        afterEach(() => rig.clear());
        const forEver = { 'keep-samples-d': 0, 'keep-minutes-d': 0, 'keep-commands-d': 0 };
        const count = async (table) => Number((await rig.db.query(`SELECT count(*) FROM ${table}`))[0][0]);

        it('archives all kinds byte for byte, makes its schema, and says how it goes', async () => {
            await rig.known('r1', 'r2');
            await rig.samples('r1', 1, 2500);
            await rig.call('XADD', 'tr:tel:r2', `${T}-7`, 'd', '"battery":85.50,"cpu":-0,"temperature":1e2');
            await rig.call('XADD', 'tr:tel:r2', `${T}-8`, 'other', 'not ours');
            await rig.call('XADD', 'tr:cmds:r1', `${T}-1`, 'd', '"seq":1,"by":"ä\'\\"","command":{"type":"stop"}');
            await rig.call('XADD', 'tr:outs:r1', `${T}-2`, 'd', '"seq":1,"outcome":"applied"');
            await rig.call('XADD', 'tr:events', `${T}-3`, 'd', '"kind":"status","device_id":"r1"');
            const archiver = await rig.working(forEver);
            const state = await rig.sees(({ rows, lag_entries }) => rows === 2504 && lag_entries === 0);
            assert.deepEqual(await rig.archived('r1'), ids(1, 2500));
            const [[names, v, ms, seq]] = await rig.db.query("SELECT h.names, s.v, s.ms, s.seq FROM samples s JOIN shapes h ON h.id = s.shape JOIN devices d ON d.id = s.device WHERE d.device_id = 'r2'");
            assert.deepEqual([names, v, ms, seq], ['battery,cpu,temperature', '85.50,-0,1e2', `${T}`, '7']);
            assert.deepEqual(await rig.db.query(`SELECT ms, seq, ${rig.db.text('d')} FROM commands`), [[`${T}`, '1', '"seq":1,"by":"ä\'\\"","command":{"type":"stop"}']]);
            assert.deepEqual(await rig.db.query(`SELECT ms, seq, ${rig.db.text('d')} FROM outcomes`), [[`${T}`, '2', '"seq":1,"outcome":"applied"']]);
            assert.deepEqual(await rig.db.query(`SELECT ms, seq, ${rig.db.text('d')} FROM events`), [[`${T}`, '3', '"kind":"status","device_id":"r1"']]);
            assert.ok(await count('minutes') > 0 && await count('hours') > 0);

            assert.equal(state.database, 'up');
            assert.equal(state.lag_ms, 0);
            assert.equal(state.gaps, 0);
            assert.ok(Math.abs(Date.now() - state.updated_ms) < 5000);
            assert.ok(await rig.call('PTTL', 'tr:archive') <= 15000);
            const metrics = await rig.call('GET', 'tr:metrics:archiver');
            assert.match(metrics, /^telerelay_archive_rows_total\{kind="samples"\} 2501$/m);
            assert.match(metrics, /^telerelay_archive_rows_total\{kind="events"\} 1$/m);
            for (const name of ['working 1', 'database_up 1', 'lag_seconds 0.000', 'gaps_total 0', 'commit_failures_total 0'])
                assert.match(metrics, new RegExp(`^# TYPE telerelay_archive_${name.split(' ')[0]} .*\\ntelerelay_archive_${name}$`, 'm'));
            await rig.end(archiver);
            for (const key of ['tr:archiver', 'tr:archive', 'tr:metrics:archiver']) assert.equal(await rig.call('EXISTS', key), 0);
        });

        it('finds devices and streams that come later', async () => {
            await rig.working(forEver);
            await rig.sees(({ database: at }) => at === 'up');
            for (const id of ['a', 'b', 'c']) {
                await rig.known(id);
                await rig.samples(id, 1, 10);
                await rig.archives(id, 10);
            }
            await rig.samples('a', 11, 20);
            await rig.archives('a', 20);
            assert.deepEqual(await rig.archived('a'), ids(1, 20));
        });

        it('keeps each entry once over kills in the middle', async () => {
            await rig.known('r1', 'r2');
            let sent = 0;
            for (let round = 0; round < 4; round++) {
                const archiver = await rig.working({ ...forEver, batch: 100, 'hot-samples': 1000 });
                for (const id of ['r1', 'r2']) await rig.samples(id, sent + 1, sent + 1500);
                sent += 1500;
                await rig.archives('r1', sent - 1500 + 100 * (round + 1));
                await rig.kill(archiver);
                await rig.call('DEL', 'tr:archiver'); // the lease of the dead is not what this is about
            }
            await rig.working(forEver);
            for (const id of ['r1', 'r2']) {
                await rig.archives(id, sent);
                assert.deepEqual(await rig.archived(id), ids(1, sent));
            }
            assert.equal(await count('gaps'), 0);
        });

        it('has a stand-in that takes over within the lease', async () => {
            await rig.known('r1');
            const first = await rig.working(forEver);
            await rig.samples('r1', 1, 50);
            await rig.archives('r1', 50);
            const second = rig.archiver(forEver);
            await until(() => /event=standing_by/.test(second.log()), 5000, 'the second one waits');
            await rig.kill(first);
            const killed = performance.now();
            await rig.samples('r1', 51, 100);
            await rig.archives('r1', 100, 5000);
            assert.ok(performance.now() - killed < 3000);
            assert.match(second.log(), /event=working/);
            assert.deepEqual(await rig.archived('r1'), ids(1, 100));
        });

        it('takes no harm from a worker that was stopped and wakes up late', async () => {
            await rig.known('r1');
            const first = await rig.working({ ...forEver, batch: 100 });
            await rig.samples('r1', 1, 300);
            await rig.archives('r1', 300);
            const adding = rig.samples('r1', 301, 6000);
            await rig.archives('r1', 600);
            first.signal('SIGSTOP');
            if (database === 'PostgreSQL') // it may hold a lock
                await rig.db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'");
            await adding;
            const second = rig.archiver(forEver);
            await until(() => /event=working/.test(second.log()), 5000, 'the second one works');
            if (database !== 'SQLite') await rig.archives('r1', 6000); // there it may hold a lock, too, and nobody writes before it wakes up
            first.signal('SIGCONT');
            await rig.archives('r1', 6000);
            await until(() => /event=lease_lost|event=standing_by/.test(first.log()), 5000, 'the first one notices');
            await rig.samples('r1', 6001, 6100);
            await rig.archives('r1', 6100);
            assert.deepEqual(await rig.archived('r1'), ids(1, 6100));
            assert.equal(await count('gaps'), 0);
        });

        it('goes on where another one stopped that worked and ended while it was stopped itself', async () => {
            await rig.known('r1');
            const first = await rig.working(forEver);
            await rig.samples('r1', 1, 100);
            await rig.archives('r1', 100);
            await rig.sees(({ lag_entries }) => lag_entries === 0);
            first.signal('SIGSTOP');
            if (database === 'PostgreSQL') // it may hold a lock
                await rig.db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'");
            const second = await rig.working(forEver);
            await rig.samples('r1', 101, 200);
            await rig.archives('r1', 200);
            await rig.end(second);
            await rig.samples('r1', 201, 300);
            first.signal('SIGCONT');
            await rig.archives('r1', 300);
            assert.deepEqual(await rig.archived('r1'), ids(1, 300));
            assert.ok((first.log().match(/event=raced/g) ?? []).length <= 1, first.log());
        });

        it('leaves the streams alone while the database is away, says so, and catches up', async () => {
            await rig.known('r1');
            const archiver = await rig.working({ ...forEver, 'hot-samples': 1000, 'database-ms': 1000, 'lease-ms': 5000, 'wsd-stream-maxlen': 4000 });
            await rig.samples('r1', 1, 3000);
            await rig.archives('r1', 3000);
            await until(async () => await rig.call('XLEN', 'tr:tel:r1') < 1200, 5000, 'trimmed');
            await rig.db.away();
            await rig.samples('r1', 3001, 5000);
            const away = await rig.sees(({ database: at, lag_samples }) => at === 'away' && lag_samples >= 1900);
            assert.notEqual(away.reason, '');
            assert.ok(away.lag_ms > 1000 && away.lag_samples <= 2100, JSON.stringify(away));
            assert.equal(away.near_loss, 0);
            assert.match(await rig.call('GET', 'tr:metrics:archiver'), /^telerelay_archive_database_up 0$/m);
            await rig.samples('r1', 5001, 6500); // 3500 of 4000 that the relay would keep
            await rig.sees(({ near_loss }) => near_loss === 1);
            await until(() => /level=warn .*event=near_loss kind=samples device_id=r1/.test(archiver.log()), 3000, 'it warns');
            assert.ok(await rig.call('XLEN', 'tr:tel:r1') >= 4500);
            await rig.db.back();
            await rig.archives('r1', 6500);
            await rig.sees(({ database: at, lag_ms, near_loss }) => at === 'up' && lag_ms === 0 && near_loss === 0);
            assert.deepEqual(await rig.archived('r1'), ids(1, 6500));
            assert.equal(archiver.log().match(/event=database_back/g).length, 1);
            assert.ok(archiver.log().match(/event=database_away/g).length <= 2, archiver.log());
            assert.equal(archiver.log().match(/event=near_loss/g).length, 1);
            assert.equal(await count('gaps'), 0);
        });

        it('writes less at a time where the database is too slow for a whole batch', async () => {
            const devices = ['r1', 'r2', 'r3', 'r4', 'r5'];
            await rig.known(...devices);
            const redis = await rig.cluster.redis();
            const metrics = Array.from({ length: 16 }, (_, i) => `"m${i}":${i}`).join(',');
            for (const id of devices) {
                const adding = [];
                for (let n = 1; n <= 4000; n++) adding.push(redis.call('XADD', `tr:tel:${id}`, `${T + n * 60000}-0`, 'd', metrics));
                await Promise.all(adding);
            }
            const archiver = await rig.working({ ...forEver, 'database-ms': 500, batch: 200000 });
            await until(() => /event=database_away reason=".*(within 500 ms|timeout)/.test(archiver.log()), 10000, 'it is too slow');
            for (const id of devices) await rig.archives(id, 4000, 60000);
            assert.equal(await count('samples'), 20000);
            assert.equal(await count('gaps'), 0);
        });

        it('trims what is archived down to what stays hot, and never the entry at its position', async () => {
            await rig.known('r1');
            await rig.working({ ...forEver, 'hot-samples': 1000, 'hot-entries': 100 });
            await rig.samples('r1', 1, 5000);
            for (let n = 0; n < 500; n++) await rig.call('XADD', 'tr:events', '*', 'd', `"kind":"status","n":${n}`);
            await rig.archives('r1', 5000);
            await rig.samples('r1', 5001, 5001);
            await rig.archives('r1', 5001);
            const length = await until(async () => {
                const now = await rig.call('XLEN', 'tr:tel:r1');
                return now < 1300 && now;
            }, 5000, 'trimmed');
            assert.ok(length >= 1000, `${length}`);
            assert.deepEqual((await rig.call('XRANGE', 'tr:tel:r1', `${T + 5001}`, '+'))[0][0], `${T + 5001}-0`);
            await until(async () => await rig.call('XLEN', 'tr:events') < 300, 5000, 'events are trimmed');
            assert.ok(await rig.call('XLEN', 'tr:events') >= 100);
            assert.equal(await count('events'), 500);
            assert.deepEqual(await rig.archived('r1'), ids(1, 5001));
        });

        it('records once what the hard cap has removed, and where', async () => {
            await rig.known('r1', 'r2');
            const first = await rig.working(forEver);
            for (const id of ['r1', 'r2']) await rig.samples(id, 1, 100);
            await rig.archives('r2', 100);
            await rig.archives('r1', 100);
            await rig.end(first);
            await rig.samples('r1', 101, 5000, { maxlen: 1000 });
            await rig.samples('r2', 101, 600, { maxlen: 1000 }); // all still there
            await rig.call('ZADD', 'tr:devices', 1, 'late');
            await rig.samples('late', 1, 3000, { maxlen: 1000 }); // never seen before, and its beginning is gone
            const begins = Object.fromEntries(await Promise.all(['r1', 'late'].map(async (id) =>
                [id, Number((await rig.call('XRANGE', `tr:tel:${id}`, '-', '+', 'COUNT', 1))[0][0].split('-')[0])])));
            const second = await rig.working(forEver);
            await rig.archives('r1', 100 + 5000 - (begins.r1 - T) + 1);
            const state = await rig.sees(({ gaps, lag_samples }) => gaps === 2 && lag_samples === 0);
            assert.equal(state.restarts ?? 0, 0);
            const gaps = await rig.db.query('SELECT d.device_id, g.kind, g.after_ms, g.after_seq, g.before_ms, g.before_seq FROM gaps g JOIN devices d ON d.id = g.device ORDER BY d.device_id');
            assert.deepEqual(gaps, [['late', '0', '0', '0', `${begins.late}`, '0'], ['r1', '0', `${T + 100}`, '0', `${begins.r1}`, '0']]);
            assert.match(second.log(), new RegExp(`level=error .*event=entries_lost kind=samples device_id=r1 after=${T + 100}-0 before=${begins.r1}-0`));
            assert.match(await rig.call('GET', 'tr:metrics:archiver'), /^telerelay_archive_gaps_total 2$/m);
            assert.deepEqual(await rig.archived('r2'), ids(1, 600));
            await rig.end(second);
            await rig.working(forEver);
            await rig.samples('r1', 5001, 5010, { maxlen: 1000 });
            await rig.archives('r1', 100 + 5010 - (begins.r1 - T) + 1);
            assert.equal(await count('gaps'), 2);
        });

        it('goes on after Redis was killed, also while it loads', async () => {
            await rig.known('r1');
            const archiver = await rig.working(forEver);
            await rig.samples('r1', 1, 500);
            await rig.archives('r1', 500);
            await rig.cluster.killRedis();
            await until(() => /event=redis_away/.test(archiver.log()), 5000, 'it notices');
            await rig.cluster.startRedis();
            await rig.samples('r1', 501, 600);
            await rig.archives('r1', 600);
            assert.deepEqual(await rig.archived('r1'), ids(1, 600));
            assert.equal(archiver.log().match(/event=redis_away/g).length, 1);
            assert.equal(await count('gaps'), 0);
        });

        it('sets aside what a Redis has that came back without its end', async () => {
            await rig.known('r1', 'r2');
            const archiver = await rig.working(forEver);
            for (const id of ['r1', 'r2']) await rig.samples(id, 1, 500);
            await rig.archives('r1', 500);
            await rig.archives('r2', 500);
            await rig.restarted(archiver, async () => { // r2 has got new ones before anybody looked
                await rig.call('DEL', 'tr:tel:r1', 'tr:tel:r2');
                for (const id of ['r1', 'r2']) await rig.samples(id, 1, 400);
                await rig.samples('r2', 501, 520);
            });
            await until(() => /event=redis_went_back streams=2/.test(archiver.log()), 5000, 'it notices');
            await rig.archives('r2', 520);
            assert.equal(await rig.call('XLEN', 'tr:tel:r1'), 0);
            assert.equal((await rig.call('XRANGE', 'tr:tel:r2', '-', '+', 'COUNT', 1))[0][0], `${T + 501}-0`);
            await assert.rejects(rig.call('XADD', 'tr:tel:r1', `${T + 450}-0`, 'd', '"battery":1,"n":450'), /equal or smaller/);
            await rig.samples('r1', 501, 510);
            await rig.archives('r1', 510);
            assert.deepEqual(await rig.archived('r1'), ids(1, 510));
            assert.deepEqual(await rig.archived('r2'), ids(1, 520));
            assert.equal(await count('gaps'), 0);
            assert.doesNotMatch(archiver.log(), /entries_lost/);
        });

        it('keeps what a Redis without its end took under ids that are archived', async () => {
            await rig.known('r1', 'r2');
            const ms = Date.now() - 60000;
            const archiver = await rig.working({ ...forEver, 'hot-samples': 1000 });
            for (const id of ['r1', 'r2']) await rig.samples(id, 1, 500, { ms });
            await rig.archives('r1', 500);
            await rig.archives('r2', 500);
            await rig.restarted(archiver, async () => {
                await rig.call('DEL', 'tr:tel:r1', 'tr:tel:r2');
                for (const id of ['r1', 'r2']) await rig.samples(id, 1, 400, { ms });
                // With a clock that is behind as well.
                for (let n = 501; n <= 510; n++) await rig.call('XADD', 'tr:tel:r1', `${ms + 400}-${n}`, 'd', `"battery":1,"n":${n}`);
                await rig.call('XADD', 'tr:tel:r2', `${ms + 450}-1`, 'd', '"battery":1,"n":501');
                await rig.samples('r2', 502, 503, { ms });
            });
            await until(() => /event=redis_went_back streams=2 entries=11/.test(archiver.log()), 5000, 'it notices');
            await rig.archives('r1', 510);
            await rig.archives('r2', 503);
            assert.deepEqual(await rig.archived('r1'), ids(1, 510));
            assert.deepEqual((await rig.archived('r2')).sort((a, b) => a - b), ids(1, 503));
            assert.equal(await rig.call('XLEN', 'tr:tel:r1'), 10);
            assert.equal(await count('gaps'), 0);
        });

        it('notices a second loss that undid what was done about the first, and no other key is in its way', async () => {
            await rig.known('r1', 'r2', 'r3');
            const archiver = await rig.working({ ...forEver, 'hot-samples': 1000 });
            for (const id of ['r1', 'r2', 'r3']) await rig.samples(id, 1, 500);
            for (const id of ['r1', 'r2', 'r3']) await rig.archives(id, 500);
            const first = await rig.call('GET', 'tr:archive:run');
            const loses = (...more) => rig.restarted(archiver, async () => {
                await rig.call('DEL', 'tr:tel:r1');
                await rig.samples('r1', 1, 400);
                await rig.samples('r1', 501, 510);
                for (const words of more) await rig.call(...words);
            });
            await loses();
            await rig.archives('r1', 510);
            assert.equal(await rig.call('XLEN', 'tr:tel:r1'), 10);
            assert.notEqual(await rig.call('GET', 'tr:archive:run'), first);
            // All that came after the first loss is there, but not that its rest was set aside.
            await loses(['SET', 'tr:archive:run', first], ['SET', 'tr:tel:r2', 'no stream']);
            await until(() => /event=redis_forgot/.test(archiver.log()), 5000, 'it notices');
            await until(async () => (await rig.call('XLEN', 'tr:tel:r1')) === 0, 5000, 'all that is archived is set aside');
            await rig.samples('r1', 511, 520);
            await rig.samples('r3', 501, 501);
            await rig.archives('r1', 520);
            await rig.archives('r3', 501);
            assert.deepEqual(await rig.archived('r1'), ids(1, 520));
            assert.equal(await rig.call('XLEN', 'tr:tel:r1'), 10);
            assert.equal(archiver.log().match(/event=redis_forgot/g).length, 1);
            assert.equal(archiver.log().match(/event=redis_went_back streams=1 /g).length, 1);
            assert.equal(await count('gaps'), 0);
        });

        it('archives nothing of a Redis that does not take the note, until it does', async () => {
            await rig.known('r1');
            const archiver = await rig.working({ ...forEver, 'hot-samples': 1000 });
            await rig.samples('r1', 1, 500);
            await rig.archives('r1', 500);
            await rig.restarted(archiver, async () => {
                await rig.call('DEL', 'tr:tel:r1');
                await rig.samples('r1', 1, 400);
                await rig.samples('r1', 501, 510);
                await rig.call('ACL', 'SETUSER', 'default', 'resetkeys', '~tr:[^a]*', '~tr:archive', '~tr:archiver', '%R~tr:archive:run');
            });
            await until(() => /event=redis_away reason="[^"]*NOPERM/.test(archiver.log()), 5000, 'it says so');
            await until(async () => (await rig.call('XLEN', 'tr:tel:r1')) === 10, 5000, 'what is archived is set aside');
            assert.equal(await count('samples'), 500);
            await rig.call('ACL', 'SETUSER', 'default', 'allkeys');
            await rig.archives('r1', 510);
            assert.deepEqual(await rig.archived('r1'), ids(1, 510));
        });

        it('leaves a Redis that was not started again as it is, whatever the archive has noted', async () => {
            await rig.known('r1');
            const archiver = await rig.working({ ...forEver, 'hot-samples': 1000 });
            await rig.samples('r1', 1, 500);
            await rig.archives('r1', 500);
            await rig.end(archiver);
            await rig.db.query("UPDATE followed SET run = 'another'");
            const again = await rig.working({ ...forEver, 'hot-samples': 1000 });
            await rig.samples('r1', 501, 501);
            await rig.archives('r1', 501);
            assert.equal(await rig.call('XLEN', 'tr:tel:r1'), 501);
            assert.doesNotMatch(again.log(), /redis_(forgot|went_back)/);
        });

        it('takes a stream that began anew for what it is', async () => {
            await rig.known('r1');
            const archiver = await rig.working(forEver);
            await rig.samples('r1', 1, 50);
            await rig.archives('r1', 50);
            await rig.call('DEL', 'tr:tel:r1');
            await rig.samples('r1', 51, 60);
            await rig.archives('r1', 60);
            await until(() => /event=stream_anew kind=samples device_id=r1/.test(archiver.log()), 3000, 'it says so');
            assert.equal(await count('gaps'), 0);
        });

        it('works while Redis is full, since it makes room', async () => {
            await rig.known('r1');
            await rig.samples('r1', 1, 3000);
            await rig.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1');
            try {
                await rig.working({ ...forEver, 'hot-samples': 1000 });
                await rig.archives('r1', 3000);
                await until(async () => await rig.call('XLEN', 'tr:tel:r1') < 1200, 5000, 'trimmed');
                await rig.sees(({ rows }) => rows === 3000);
            } finally {
                await rig.call('CONFIG', 'SET', 'maxmemory', '0');
            }
        });

        it('goes on archiving while Redis refuses to write at all', async () => {
            await rig.known('r1');
            const archiver = await rig.working({ ...forEver, 'hot-samples': 1000 });
            await rig.sees(({ database: at }) => at === 'up');
            archiver.signal('SIGSTOP');
            await rig.samples('r1', 1, 3000);
            await rig.call('CONFIG', 'SET', 'min-replicas-to-write', '1');
            try {
                archiver.signal('SIGCONT');
                await rig.archives('r1', 3000);
                await until(() => /event=trim_refused reason="Redis: NOREPLICAS/.test(archiver.log()), 3000, 'it says so');
                assert.equal(await rig.call('XLEN', 'tr:tel:r1'), 3000);
            } finally {
                await rig.call('CONFIG', 'SET', 'min-replicas-to-write', '0');
            }
            await rig.samples('r1', 3001, 3001);
            await until(async () => await rig.call('XLEN', 'tr:tel:r1') < 1200, 5000, 'trimmed');
            assert.deepEqual(await rig.archived('r1'), ids(1, 3001));
        });

        it('leaves a key alone that is no stream, until it is one', async () => {
            await rig.known('r1', 'r2');
            await rig.call('SET', 'tr:tel:r1', 'what?');
            await rig.working(forEver);
            await rig.samples('r2', 1, 10);
            await rig.archives('r2', 10);
            assert.equal(await rig.call('GET', 'tr:tel:r1'), 'what?');
            await rig.call('DEL', 'tr:tel:r1');
            await rig.samples('r1', 1, 10);
            await rig.archives('r1', 10);
        });

        it('deletes what is too old, each kind by its own age, also after a reload', async () => {
            const conf = path.join(rig.dir, 'keep.conf');
            const write = (days) => fs.writeFileSync(conf, `[archive]\nkeep_samples_d = ${days}\nkeep_minutes_d = 0\nkeep_hours_d = 400\nkeep_commands_d = 0\nkeep_events_d = 10\n`);
            const day = 24 * 3600 * 1000;
            const now = Date.now();
            await rig.known('r1');
            for (const [age, n] of [[50, 1], [20, 2], [0.5, 3]]) {
                await rig.samples('r1', n, n, { ms: now - age * day - n });
                for (const stream of ['tr:cmds:r1', 'tr:events']) await rig.call('XADD', stream, `${Math.round(now - age * day)}-0`, 'd', `"n":${n}`);
            }
            write(0);
            const archiver = await rig.working({ config: conf });
            await rig.sees(({ rows, expired }) => rows === 9 && expired === 2); // events
            assert.deepEqual(await rig.archived('r1'), [1, 2, 3]);
            write(30);
            archiver.signal('SIGHUP');
            await rig.sees(({ expired }) => expired === 3);
            assert.deepEqual(await rig.archived('r1'), [2, 3]);
            assert.equal(await count('commands'), 3);
            assert.equal(await count('events'), 1);
            fs.writeFileSync(conf, '[archive]\nkeep_samples_d = -1\n');
            archiver.signal('SIGHUP');
            await until(() => /event=reload_failed/.test(archiver.log()), 3000, 'a fault changes nothing');
            assert.match(archiver.log(), /keep\.conf:2: .*keep_samples_d/);
        });
    });
}

describe('the archiver and an SQLite file', () => {
    let rig;
    before(async () => { rig = await Archiving.start('SQLite'); });
    after(() => rig.stop());
    afterEach(() => rig.clear());

    it('waits for another program that writes into it, and says so', async () => {
        await rig.known('r1');
        const archiver = await rig.working({ 'keep-samples-d': 0, 'database-ms': 100, 'interval-ms': 100 });
        await rig.sees(({ database }) => database === 'up');
        const lock = await locked(rig.db.file);
        await rig.samples('r1', 1, 10);
        const { reason } = await rig.sees(({ database }) => database === 'away');
        assert.match(reason, /locked by another program/);
        await until(() => /event=database_away/.test(archiver.log()), 3000, 'it says so');
        lock.end();
        await rig.archives('r1', 10);
        assert.deepEqual(await rig.archived('r1'), ids(1, 10));
    });

    it('that was held up in a commit does not archive what Redis has lost since', async () => {
        await rig.known('r1');
        const old = await rig.working({ 'keep-samples-d': 0 });
        await rig.samples('r1', 1, 400);
        await rig.archives('r1', 400);
        const lock = await locked(rig.db.file);
        await rig.samples('r1', 401, 500);
        // It asks Redis a hundred times a second, but not while it waits for the database.
        await until(async () => /idle=[1-9].* cmd=xlen/.test(await rig.call('CLIENT', 'LIST')), 5000, 'it has read them and wants to commit');
        old.signal('SIGSTOP');
        lock.end();
        await rig.cluster.killRedis();
        await rig.cluster.startRedis();
        await rig.call('DEL', 'tr:tel:r1', 'tr:archiver');
        await rig.samples('r1', 1, 400);
        await rig.working({ 'keep-samples-d': 0 });
        const followed = async () => (await rig.db.query('SELECT run FROM followed'))[0][0] === (await rig.call('GET', 'tr:archive:run'));
        await until(followed, 5000, 'the other one has compared this Redis');
        old.signal('SIGCONT');
        await until(() => /event=raced/.test(old.log()), 5000, 'it is told');
        assert.deepEqual(await rig.archived('r1'), ids(1, 400));
        await rig.samples('r1', 501, 501);
        await rig.archives('r1', 401);
        assert.deepEqual(await rig.archived('r1'), [...ids(1, 400), 501]);
    });

    it('goes on archiving while deleting fails', async () => {
        await rig.known('r1');
        await rig.samples('r1', 1, 10);
        const first = await rig.working({ 'keep-samples-d': 0 });
        await rig.archives('r1', 10);
        await rig.end(first);
        await rig.db.query("CREATE TRIGGER never BEFORE DELETE ON samples BEGIN SELECT RAISE(ABORT, 'not now'); END");
        const second = await rig.working({ 'keep-samples-d': 30 });
        await until(() => /event=database_away reason=.*not now/.test(second.log()), 3000, 'deleting fails');
        for (let n = 11; n <= 15; n++) {
            await rig.samples('r1', n, n);
            await rig.archives('r1', n);
        }
        await rig.sees(({ database }) => database === 'up');
        assert.equal(second.log().match(/event=database_away/g).length, 1, second.log());
    });

    it('leaves one of a newer version alone, and the work to a newer archiver', async () => {
        const first = await rig.working();
        await rig.sees(({ database }) => database === 'up');
        await rig.end(first);
        const [[version]] = await rig.db.query('PRAGMA user_version');
        await rig.db.query('PRAGMA user_version = 99');
        const old = await rig.working();
        const { reason } = await rig.sees(({ database }) => database === 'away');
        assert.match(reason, /version 99/);
        const newer = rig.archiver();
        await until(() => /event=standing_by/.test(newer.log()), 5000, 'it waits');
        await until(() => /event=working/.test(newer.log()), 8000, 'it gets its chance');
        await rig.db.query(`PRAGMA user_version = ${version}`);
        await rig.sees(({ database }) => database === 'up');
        assert.ok(old.alive && newer.alive);
    });
});

describe('telerelay-archiver', () => {
    const dir = temporaryDirectory();
    after(() => fs.rmSync(dir, { recursive: true, force: true }));
    const start = (args, env = {}) => spawnSync(program('telerelay-archiver'), args, { encoding: 'utf8', timeout: 10000, env: { ...process.env, ...sanitizerEnv(path.join(dir, 'san')), ...env } });

    it('refuses to start without a database, and says what to set', () => {
        const { status, stderr } = start(['--redis-address', 'unix:/nowhere']);
        assert.equal(status, 2);
        assert.match(stderr, /\[archive\] database is empty.*sqlite:\/path or postgresql:\/\//);
    });

    it('knows --help, --version and --check-config, and refuses what is wrong', () => {
        assert.match(start(['--help']).stdout, /--hot-samples/);
        assert.match(start(['--version']).stdout, /^telerelay-archiver \d/);
        assert.equal(start(['--check-config', '--database', 'sqlite:/tmp/a.db']).status, 0);
        const bad = start(['--database', 'mysql://x']);
        assert.equal(bad.status, 2);
        assert.match(bad.stderr, /database/);
        assert.equal(start(['--no-such-key', '1']).status, 2);
        assert.deepEqual(fs.readdirSync(dir), []);
    });

    it('keeps a password out of its log', async () => {
        const log = path.join(dir, 'log');
        const { status, stderr } = start(['--check-config', '--database', 'postgresql://u:sesame@127.0.0.1:1/x']);
        assert.equal(status, 0, stderr);
        assert.doesNotMatch(stderr, /sesame/);
        assert.equal(fs.existsSync(log), false);
    });
});
