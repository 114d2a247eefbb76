// Goal: every sample that Redis has acknowledged is in the archive exactly once, whatever is killed and when: archivers, Redis,
// the database. And an hour without the database is nothing that a relay notices, or that takes long to catch up with.
// Redis is set up as it is shipped; see telemetry.test.mjs.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { Part, bin } from '../system/lib/api.mjs';
import { Robot } from '../system/lib/peer.mjs';
import { Writer } from '../system/lib/samples.mjs';
import { World } from '../system/lib/seam.mjs';
import { pause, random, until, within } from '../system/lib/wait.mjs';
import { say } from './lib/figures.mjs';

const LONG = process.env.FAULTS_LONG === '1';
const often = (short, long) => (LONG ? long : short);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const DEVICES = ['a', 'b', 'c', 'd'];

// Writes all the time, each sample until Redis has acknowledged it or says that it has it; the world's model has those.
class Pen {
    constructor(world, dice) {
        Object.assign(this, { world, writer: new Writer(dice, DEVICES) });
        this.running = this.#run();
    }

    async #run() {
        while (!this.done) {
            await Promise.all(DEVICES.map((device) => this.#burst(this.writer.burst(device, 5))));
            await pause(20);
        }
    }

    // In order, all over one connection; those that were not acknowledged again, until they are.
    async #burst(entries) {
        for (let rest = entries; rest.length > 0;) {
            const { redis } = this.world;
            const results = await Promise.allSettled(rest.map(({ device, ms, seq, text }) => redis.call('XADD', `tr:tel:${device}`, `${ms}-${seq}`, 'd', text)));
            const failed = results.findIndex(({ reason }) => reason && !/equal or smaller/.test(reason.message)); // which says that it is there
            for (const entry of rest.slice(0, failed < 0 ? rest.length : failed)) this.world.series.add(entry.device, entry);
            rest = failed < 0 ? [] : rest.slice(failed);
            if (failed >= 0) await pause(5); // nobody answers yet
        }
    }

    async end() {
        this.done = true;
        await within(this.running, 20000, 'the last samples are stored');
    }
}

for (const kind of ['sqlite', 'postgres'])
    describe(`the archive in ${kind}`, () => {
        const afterAll = (what, count, kill, options = {}) => it(`has every sample once after ${what}`, async () => {
            const world = await World.start(kind, { durable: true, workers: 1, archiver: ['--interval-ms', '10', '--batch', '100'], ...options });
            const dice = random(SEED);
            let pen, meanwhile;
            const archived = async () => {
                [[meanwhile]] = await world.db.query('SELECT count(*) FROM samples');
                return meanwhile > 0;
            };
            try {
                for (const device of DEVICES) await world.know(device);
                pen = new Pen(world, dice);
                for (let i = 0; i < count; i++) {
                    const before = world.series.size;
                    await pause(dice.int(120));
                    await until(() => world.series.size >= before + 5, 20000, 'more samples are stored');
                    if (i === count - 1) await until(archived, 20000, 'something is archived before the last one');
                    await kill(world, dice);
                }
                await pen.end();
                if (world.archivers.length === 0) await world.startArchiver();
                const n = await world.verifyArchive(often(60000, 300000));
                say(`${kind}: ${n} samples are archived once each, ${meanwhile} of them before the last of ${count} ${what}`);
            } catch (error) {
                error.message += ` (SEED=${SEED})`;
                throw error;
            } finally {
                if (pen) pen.done = true;
                await world.stop();
            }
        });

        afterAll('kills of the archiver', often(10, 500), async (world, dice) => {
            // Sometimes a second one is at work already, with the first one's lease or against it.
            if (world.archivers.length < 2 && dice.next() < 0.3) await world.startArchiver();
            if (dice.next() < 0.3) await world.redis.call('DEL', 'tr:archiver');
            await world.endArchiver(dice.pick(world.archivers), 'SIGKILL', dice.next() < 0.9);
            if (world.archivers.length === 0) await world.startArchiver();
        });

        // One is frozen wherever it is, often with a batch in its hands; the other takes over and goes on, and then it wakes up.
        afterAll('turns of two archivers', often(15, 200), async (world) => {
            while (world.archivers.length < 2) await world.startArchiver();
            const [first, second] = world.archivers;
            const at = JSON.stringify(await world.positions());
            world.freezeArchiver(first);
            await world.redis.call('DEL', 'tr:archiver');
            // Unless the frozen one holds a lock of the database's.
            await until(async () => JSON.stringify(await world.positions()) !== at, 300, 'the other one is at work').catch(() => {});
            world.thawArchiver(first);
            world.archivers = [second, first];
        });

        afterAll('kills of Redis', often(2, 30), async (world) => {
            await world.killRedis();
            await world.restartRedis();
        });

        if (kind === 'postgres')
            afterAll('kills of the database', often(2, 60), async (world, dice) => {
                await world.sqlGoes(dice.pick(['kill', 'kill', 'stop']));
                await world.sqlReturns();
                await pause(dice.int(200));
            }, { archiver: ['--interval-ms', '10', '--batch', '1000'] });

        it('is an hour behind and catches up; the relay notices nothing', async () => {
            const robots = 100, every = 3000, samples = often(200, 1200); // of each
            const world = await World.start(kind, { workers: 1, archiver: ['--interval-ms', '1000', '--hot-samples', '5000'] });
            let relay, robot;
            try {
                const socket = path.join(world.dir, 'wsd.sock');
                relay = new Part(path.join(bin, 'telerelay-wsd'), ['--listen', `unix:${socket}`, '--name', 'wsd-1', '--redis-address', `unix:${world.redisPath}`],
                    { env: { PATH: process.env.PATH, ...world.sanitizers('wsd') } });
                robot = await until(() => Robot.connect(`ws+unix://${socket}:/ws/telemetry/?device_id=real`, 'real', { ms: 2000 }), 10000, 'the relay takes a robot');
                await until(async () => (await robot.telemetry({ battery: 1 })).type === 'ack', 5000, 'it stores samples');

                await world.endArchiver();
                await world.sqlGoes(kind === 'sqlite' ? 'move' : 'stop');
                await world.startArchiver();
                // Some hours ago, as they came.
                const begin = Date.now() - samples * every;
                const entries = Array.from({ length: samples * robots }, (_, i) => ({
                    device: `robot_${i % robots}`, ms: begin + Math.floor(i / robots) * every, seq: 0, text: `"battery":${85 - (i % 7)},"cpu":${i % 100},"temperature":41.${i % 10},"signal":93`,
                }));
                const [, without] = await Promise.all([world.write(entries), slowestAck(robot, 30)]);
                const waiting = await waits(world);
                await world.sqlReturns();
                const at = performance.now();
                const acks = slowestAck(robot, 30);
                await until(() => world.archived(), 720e3 * samples / 1200, 'the archiver catches up', 20);
                const took = (performance.now() - at) / 1000;
                const slow = Math.max(without, await acks);
                for (const { id, metrics } of await world.redis.samples('real'))
                    world.series.add('real', { ms: Number(id.split('-')[0]), seq: Number(id.split('-')[1]), text: JSON.stringify(metrics).slice(1, -1) });
                const n = await world.verifyArchive();
                assert.equal(n, entries.length + world.series.entries('real').length);
                assert.ok(waiting >= entries.length, `${waiting} waited`);
                assert.ok(slow < 2000, `the slowest ack took ${slow} ms`);
                assert.ok(took < samples * every / 1000 / 5, `caught up in ${took} s`);
                say(`${kind}: ${samples * every / 60000} min of ${robots} robots (${entries.length} samples) without it, caught up in ${took.toFixed(1)} s: ` +
                    `${(samples * every / 1000 / took).toFixed(0)} × as fast as they came; slowest ack meanwhile ${slow.toFixed(0)} ms`);
            } finally {
                robot?.drop();
                await relay?.stop();
                await world.stop();
            }
        });
    });

// ms of the slowest of so many samples, one each 50 ms.
async function slowestAck(robot, count) {
    let slowest = 0;
    for (let i = 0; i < count; i++) {
        const at = performance.now();
        assert.equal((await robot.telemetry({ battery: i % 100 })).type, 'ack');
        slowest = Math.max(slowest, performance.now() - at);
        await pause(50);
    }
    return slowest;
}

// Entries in all streams of samples.
async function waits(world) {
    const lengths = await Promise.all(world.series.devices.map((device) => world.redis.call('XLEN', `tr:tel:${device}`)));
    return lengths.reduce((a, b) => a + b, 0);
}
