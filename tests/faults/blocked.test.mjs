// Goal: a thousand websites that stop reading while a hundred robots talk and one films cost the relay at most 64 KiB
// each, and one that reads has the newest of all.
import { it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';

// A sanitizer's memory says nothing about the relay's.
process.env.TELERELAY_BIN = process.env.TELERELAY_BIN?.replace(/build\/asan\b/, 'build/release') ?? 'build/release/bin';
const { Cluster, counted, often, say, until } = await import('./lib/rig.mjs');

const WEBSITES = 1000;
const ROBOTS = 100;
const ROUNDS = often(6, 40);
const METRICS = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`a_rather_long_name_of_a_metric_${i}`.slice(0, 32), i + 0.125]));

// The most memory that it ever had, in KiB: also what it has given back.
const peak = (proc) => Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${proc.pid}/status`, 'utf8'))[1]);

it('1,000 blocked websites', async () => {
    const cluster = await Cluster.start({ relays: 1, flags: ['--robot-rate', '0'] });
    try {
        const before = cluster.relay(1).memory();
        for (let i = 0; i < WEBSITES; i += 50)
            await Promise.all(Array.from({ length: 50 }, async () => (await cluster.website(1)).ws.pause()));
        const reader = await cluster.website(1);
        const robots = await Promise.all(Array.from({ length: ROBOTS }, (_, i) => cluster.robot(1, `robot_${i}`)));
        for (let round = 1; round <= ROUNDS; round++) {
            robots[0].send({ type: 'video_frame', frame_data: '/9j/'.padEnd(300000, 'A'), frame_number: round });
            await Promise.all(robots.map((robot) => robot.telemetry({ battery: round, ...METRICS }, 10000)));
        }
        // The reader has the newest of each: so the others' queues are as full as they become.
        await until(() => robots.every(({ deviceId }) => reader.count({ type: 'telemetry_update', device_id: deviceId, battery: ROUNDS })), 10000, 'the reader has the newest');
        const each = ((peak(cluster.relay(1)) - before) * 1024) / WEBSITES;
        const { video_replaced_total: replaced, connections_blocked_closed_total: closed, websites } = await counted(cluster, [1]);
        say(`1,000 websites that do not read: ${Math.round(each)} bytes each at most`);
        assert.ok(replaced >= WEBSITES, `all were blocked: ${replaced} frames of video gave way to newer ones`);
        assert.equal(closed, 0);
        assert.equal(websites, WEBSITES + 1);
        assert.ok(each <= 65536, `${each} bytes each`);
    } finally {
        await cluster.stop();
    }
});
