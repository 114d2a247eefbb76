// Goal: a sample is stored, then acknowledged, then shown to every website on every relay as the same
// bytes; what is partly missing is fine, what is out of range leaves no trace; video is passed on only.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, assertRecent, assertStamped, until } from './lib/harness.mjs';

const SAVED = { type: 'ack', original_type: 'telemetry', status: 'received', message: 'Telemetry data received and saved' };

describe('telemetry', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(async () => {
        await cluster.clear();
        const redis = await cluster.redis();
        for (const key of await redis.call('KEYS', 'tr:tel:*')) await redis.call('DEL', key);
    });
    after(() => cluster.stop());

    it('is stored before it is acknowledged, and acknowledged in the known words', async () => {
        const redis = await cluster.redis();
        const robot = await cluster.robot(1, 'robot_01');
        for (let battery = 1; battery <= 50; battery++) {
            const answer = await robot.telemetry({ battery, cpu: 38, temperature: 41.2, signal: 93 });
            const samples = await redis.samples('robot_01');
            assert.equal(samples.length, battery);
            assert.deepEqual(samples.at(-1).metrics, { battery, cpu: 38, temperature: 41.2, signal: 93 });
            assertStamped(answer, SAVED);
        }
    });

    it('reaches the websites of both relays as identical bytes', async () => {
        const websites = [await cluster.website(1), await cluster.website(1), await cluster.website(2)];
        const robot = await cluster.robot(2, 'robot_01');
        await robot.telemetry({ device_name: 'Stair \u00e9 "one"', battery: 85, cpu: 38, temperature: 41.2, signal: 93, wheel_rpm: 12.5, load: -3 });
        const texts = [];
        for (const website of websites) {
            const update = await website.next('telemetry_update');
            assertStamped(update, {
                type: 'telemetry_update', device_id: 'robot_01', device_name: 'Stair \u00e9 "one"', battery: 85, cpu: 38,
                temperature: 41.2, signal: 93, wheel_rpm: 12.5, load: -3,
            });
            texts.push(website.raw(update));
        }
        assert.equal(new Set(texts).size, 1, texts.join('\n'));
        const [sample] = await (await cluster.redis()).samples('robot_01');
        assert.equal(JSON.parse(texts[0]).timestamp, new Date(sample.ms).toISOString());
        assert.deepEqual(sample.metrics, { battery: 85, cpu: 38, temperature: 41.2, signal: 93, wheel_rpm: 12.5, load: -3 });
    });

    it('may be partial', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        const redis = await cluster.redis();
        let count = 0;
        for (const metrics of [
            { battery: 0 }, { cpu: 100 }, { temperature: -100 }, { signal: 50.5 }, { temperature: 300, signal: 100 }, { x1: 1e300 },
            { battery: 1, cpu: 2, temperature: 3 },
        ]) {
            assertStamped(await robot.telemetry(metrics), SAVED);
            const { type, device_id, timestamp, ...rest } = await website.next('telemetry_update');
            assert.equal(device_id, 'robot_01');
            assertRecent(timestamp);
            delete rest.device_name;
            assert.deepEqual(rest, metrics);
            const samples = await redis.samples('robot_01');
            assert.equal(samples.length, ++count);
            assert.deepEqual(samples.at(-1).metrics, metrics);
        }
    });

    it('carries up to 32 further metrics, and ignores what is no number', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        const more = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`m${i}`, i / 8]));
        assert.equal((await robot.telemetry({ battery: 5, ...more })).type, 'ack');
        const update = await website.next('telemetry_update');
        assert.equal(update.m31, 31 / 8);
        assert.equal(Object.keys(update).filter((key) => /^m\d+$/.test(key)).length, 32);
        await robot.telemetry({ battery: 6, note: 'x', flag: true, nothing: null, list: [1], nested: { a: 1 }, device_id: 'robot_99' });
        const next = await website.next({ type: 'telemetry_update', battery: 6 });
        for (const key of ['note', 'flag', 'nothing', 'list', 'nested']) assert.ok(!(key in next), key);
        assert.equal(next.device_id, 'robot_01');
    });

    it('takes the time of the robot where it is plausible, else that of arrival', async () => {
        const robot = await cluster.robot(1, 'robot_01');
        const website = await cluster.website(2);
        const stored = async (timestamp) => {
            const sentAt = Date.now();
            const answer = await robot.telemetry({ battery: 50, timestamp });
            assert.equal(answer.type, 'ack', JSON.stringify(answer));
            const update = await website.next('telemetry_update');
            const sample = (await (await cluster.redis()).samples('robot_01')).at(-1);
            assert.equal(Date.parse(update.timestamp), sample.ms);
            return { ms: sample.ms, arrival: sample.ms >= sentAt - 5 && sample.ms <= Date.now() + 5 };
        };
        const now = Date.now();
        const iso = (ms) => new Date(ms).toISOString();
        assert.equal((await stored(iso(now - 3600e3))).ms, now - 3600e3); // older than now, nothing stored yet
        assert.equal((await stored(iso(now - 60e3))).ms, now - 60e3);
        assert.equal((await stored((now - 50e3) / 1000)).ms, now - 50e3); // seconds
        assert.equal((await stored(now - 40e3)).ms, now - 40e3); // milliseconds
        assert.equal((await stored(iso(now - 30e3).replace('Z', '+00:00'))).ms, now - 30e3);
        assert.ok((await stored(iso(now - 35e3))).arrival, 'not later than the last one stored');
        assert.ok((await stored(undefined)).ms > now - 1000);
        const ahead = Date.now() + 1500;
        assert.equal((await stored(iso(ahead))).ms, ahead); // up to 2 s ahead
        const after = await stored(iso(Date.now() + 3600e3)); // far ahead
        assert.ok(after.ms > ahead - 1 && after.ms <= ahead + 50, `${after.ms - ahead}`); // ids never go back
        for (const bad of ['yesterday', '', -5, {}, true, '2026-13-45T99:00:00Z', 1e300, null])
            assert.ok((await stored(bad)).ms < Date.now() + 2500, String(bad));
    });

    it('refuses the whole message when one value is out of range, and leaves no trace of it', async () => {
        const website = await cluster.website(2);
        const robot = await cluster.robot(1, 'robot_01');
        const from = website.skip();
        for (const [metrics, codes] of [
            [{ battery: 100.01, cpu: 5 }, 'out_of_range'], [{ battery: -1 }, 'out_of_range'], [{ cpu: 101 }, 'out_of_range'],
            [{ signal: 1e9 }, 'out_of_range'], [{ temperature: -100.5 }, 'out_of_range'], [{ temperature: 301 }, 'out_of_range'],
            [{ battery: 50, cpu: 38, temperature: 41, signal: 200 }, 'out_of_range'],
            [{ battery: '85' }, 'invalid_message'], [{ battery: true }, 'invalid_message'], [{ battery: [1] }, 'invalid_message'],
            [Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`m${i}`, i])), 'invalid_message|out_of_range'],
        ]) {
            const answer = await robot.telemetry(metrics);
            assert.equal(answer.type, 'error', JSON.stringify(metrics));
            assert.ok(codes.split('|').includes(answer.code), `${JSON.stringify(metrics)}: ${JSON.stringify(answer)}`);
            assert.equal(answer.original_type, 'telemetry');
        }
        for (const text of ['{"type":"telemetry","battery":NaN}', '{"type":"telemetry","battery":Infinity}', '{"type":"telemetry","m":1e999}',
            '{"type":"telemetry","battery":-Infinity}', '{"type":"telemetry","battery":0x10}', '{"type":"telemetry","battery":5,"battery":6}']) {
            const answer = await robot.ask(text);
            assert.equal(answer.type, 'error', text);
            assert.match(answer.code, /^(invalid_json|invalid_message|out_of_range)$/);
        }
        await robot.telemetry({ battery: 77 });
        await website.next({ type: 'telemetry_update', battery: 77 });
        assert.equal(website.count('telemetry_update', from), 1);
        assert.equal((await (await cluster.redis()).samples('robot_01')).length, 1);
    });

    it('makes a status of a robot a robot_status, whatever it says', async () => {
        const websites = [await cluster.website(1), await cluster.website(2)];
        const robot = await cluster.robot(1, 'robot_01');
        for (const [status, message] of [['ok', 'all fine'], ['disconnected', 'Robot robot_02 has disconnected'], ['warn\u00e9', '<b>"']]) {
            robot.send({ type: 'status', status, message, device_id: 'robot_02' });
            for (const website of websites)
                assertStamped(await website.next('robot_status'), { type: 'robot_status', device_id: 'robot_01', status, message });
        }
        for (const website of websites) assert.deepEqual(website.online(), ['robot_01']);
    });

    it('passes video on, acknowledges it and never stores it', async () => {
        const websites = [await cluster.website(1), await cluster.website(2)];
        const robot = await cluster.robot(2, 'robot_01');
        for (const [frameNumber, size] of [[1, 4], [2, 60000], [3, 300000], [4, 512 * 1024]]) {
            const data = 'QUJD'.repeat(size / 4);
            const answer = await robot.ask({ type: 'video_frame', frame_data: data, frame_number: frameNumber, timestamp: new Date().toISOString() });
            assert.equal(answer.type, 'ack', JSON.stringify(answer).slice(0, 300));
            assert.equal(answer.original_type, 'video_frame');
            for (const website of websites) {
                const got = await website.next('video_frame');
                assert.equal(got.device_id, 'robot_01');
                assert.equal(got.frame_number, frameNumber);
                assert.ok(got.frame_data === data, 'the same picture');
                assertRecent(got.timestamp);
            }
        }
        const redis = await cluster.redis();
        assert.deepEqual(await redis.samples('robot_01'), []);
        assert.equal(await redis.call('EXISTS', 'tr:tel:robot_01'), 0);
    });

    it('refuses a picture that is too large and closes with 1009', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        robot.send({ type: 'video_frame', frame_data: 'QUJD'.repeat(160 * 1024), frame_number: 1 });
        assert.equal((await robot.next('error')).code, 'too_large');
        assert.equal(await robot.closed(), 1009);
        const again = await cluster.robot(2, 'robot_01');
        await again.ask({ type: 'video_frame', frame_data: 'QUJD', frame_number: 2 });
        await website.next('video_frame');
        assert.deepEqual(website.all('video_frame').map((one) => one.frame_number), [2]);
    });

    it('refuses what is no base64', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        for (const data of ['<script>', 'a b', 'AA\u00e9A', 7, null, ['AAAA'], { a: 1 }])
            assert.match((await robot.ask({ type: 'video_frame', frame_data: data, frame_number: 1 })).code, /^(invalid_message|out_of_range)$/, String(data));
    });

    it('gives a slow website only the latest picture, and delays no command for it', async () => {
        const slow = await cluster.website(1);
        const fast = await cluster.website(1);
        const robot = await cluster.robot(1, 'robot_01');
        await slow.sees(['robot_01']);
        slow.ws.pause();
        const data = 'QUJD'.repeat(25000);
        const frames = 60;
        for (let n = 1; n <= frames; n++) {
            assert.equal((await robot.ask({ type: 'video_frame', frame_data: data, frame_number: n })).type, 'ack');
            await fast.next({ type: 'video_frame', frame_number: n });
            if (n % 20 === 0) {
                const at = performance.now();
                fast.send({ type: 'set_speed', value: n });
                await robot.seen({ type: 'set_speed', value: n });
                const took = performance.now() - at;
                assert.ok(took < 250, `command took ${took} ms`);
            }
        }
        slow.ws.resume();
        await slow.seen({ type: 'video_frame', frame_number: frames }, 5000);
        const numbers = slow.all('video_frame').map((one) => one.frame_number);
        assert.ok(numbers.length <= 10, `got ${numbers}`);
        assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
    });

    it('gives a slow website the latest telemetry of each robot', async () => {
        const slow = await cluster.website(2);
        const robots = [await cluster.robot(1, 'robot_01'), await cluster.robot(2, 'robot_02')];
        await slow.sees(['robot_01', 'robot_02']);
        slow.ws.pause();
        const filler = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`a_rather_long_metric_name_${i}`, i * 1.23456789]));
        const count = 400;
        await Promise.all(robots.map(async (robot) => {
            for (let n = 1; n <= count; n++)
                assert.equal((await robot.telemetry({ battery: 50, ...filler, a_rather_long_metric_name_0: n })).type, 'ack');
        }));
        slow.ws.resume();
        for (const id of ['robot_01', 'robot_02']) {
            await slow.seen({ type: 'telemetry_update', device_id: id, a_rather_long_metric_name_0: count }, 5000);
            const numbers = slow.all({ type: 'telemetry_update', device_id: id }).map((one) => one.a_rather_long_metric_name_0);
            assert.ok(numbers.length < count, `${numbers.length} of ${count} were kept for a website that did not read`);
            assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
        }
        const redis = await cluster.redis();
        for (const id of ['robot_01', 'robot_02']) assert.equal(await redis.call('XLEN', `tr:tel:${id}`), count);
    });

    it('keeps the name a robot gave itself', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        await robot.telemetry({ battery: 1, device_name: 'Left stairs' });
        assert.equal((await website.next('telemetry_update')).device_name, 'Left stairs');
        await until(async () => (await (await cluster.redis()).call('HGET', 'tr:dev:robot_01', 'name')) === 'Left stairs', 2000, 'the name is stored');
        for (const name of [5, 'x'.repeat(65), { a: 1 }]) {
            const answer = await robot.telemetry({ battery: 2, device_name: name });
            assert.ok(answer.type === 'ack' || /^(invalid_message|out_of_range)$/.test(answer.code), JSON.stringify(answer));
        }
    });
});
