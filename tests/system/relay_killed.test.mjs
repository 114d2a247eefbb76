// Goal: a relay that is killed, stopped for a while or asked to end leaves no ghost: every website on
// the other relay knows within 5 s who is really there, and a robot that moved on stays online.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, pause, robotCame, robotWent } from './lib/harness.mjs';

describe('a relay', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    after(() => cluster.stop());

    it('killed: its robots that do not return are gone within 5 s, those that do stay online', async () => {
        const website = await cluster.website(2);
        const gone = await cluster.robot(1, 'robot_01');
        const moving = await cluster.robot(1, 'robot_02');
        const other = await cluster.robot(2, 'robot_03');
        await website.sees(['robot_01', 'robot_02', 'robot_03']);
        const at = performance.now();
        await cluster.killRelay(1);
        for (const robot of [gone, moving]) assert.equal(await robot.closed(), 1006);
        const back = await cluster.robot(2, 'robot_02');
        assert.equal((await website.ask({ type: 'set_speed', value: 30, device_id: 'robot_02' })).robots, 1);
        await back.next({ value: 30 });
        await website.next(robotWent('robot_01'), 6000);
        const took = performance.now() - at;
        console.log(`robots of a killed relay were gone after ${Math.round(took)} ms`);
        assert.ok(took <= 5000, `${took} ms`);
        assert.deepEqual(website.online(), ['robot_02', 'robot_03']);
        // Its successor must not bring ghosts back or tell anything twice.
        await cluster.startRelay(1);
        const fresh = await cluster.website(1);
        await fresh.sees(['robot_02', 'robot_03']);
        await fresh.settled();
        assert.deepEqual(fresh.online(), ['robot_02', 'robot_03']);
        const marker = await cluster.robot(1, 'marker');
        await website.seen(robotCame('marker'));
        assert.equal(website.count(robotWent('robot_01')), 1);
        assert.equal(website.count({ status: 'disconnected', device_id: 'robot_02' }), 0);
        assert.equal((await fresh.ask({ type: 'set_speed', value: 31 })).robots, 3);
        await back.next({ value: 31 });
        await other.next({ value: 31 });
        await marker.next({ value: 31 });
        await cluster.clear();
    });

    it('stopped for 6 s: its robots are taken for gone, and afterwards everybody knows the truth again', async () => {
        const website = await cluster.website(2);
        const frozen = await cluster.robot(1, 'robot_01');
        const moved = await cluster.robot(1, 'robot_02');
        const watcher = await cluster.website(1);
        await website.sees(['robot_01', 'robot_02']);
        await watcher.sees(['robot_01', 'robot_02']);
        const from = moved.history.length;
        cluster.relay(1).signal('SIGSTOP');
        const at = performance.now();
        const back = await cluster.robot(2, 'robot_02');
        await website.next(robotWent('robot_01'), 6000);
        assert.ok(performance.now() - at <= 5500);
        assert.deepEqual(website.online(), ['robot_02']);
        await pause(Math.max(0, 6000 - (performance.now() - at)));
        cluster.relay(1).signal('SIGCONT');
        assert.equal(await moved.closed(), 4001);
        assert.equal(moved.commands(from).length, 0);
        // robot_01 still has its connection: either it is online again, or the relay hung up and it may return.
        if (frozen.open) await website.sees(['robot_01', 'robot_02'], 5000);
        const robot = frozen.open ? frozen : await cluster.robot(1, 'robot_01');
        for (const one of [website, watcher.open ? watcher : await cluster.website(1)]) {
            await one.sees(['robot_01', 'robot_02'], 5000);
            const fresh = await cluster.website(1);
            await fresh.sees(['robot_01', 'robot_02'], 5000);
        }
        const answer = await website.ask({ type: 'set_speed', value: 40 });
        assert.equal(answer.robots, 2);
        await robot.seen({ value: 40 });
        await back.seen({ value: 40 });
        assert.equal((await robot.telemetry({ battery: 4 })).type, 'ack');
        await cluster.clear();
    });

    it('asked to end: closes everybody with 1001, is gone within 5 s with status 0, and its robots are told gone once', async () => {
        const website = await cluster.website(2);
        const peers = [await cluster.website(1), await cluster.robot(1, 'robot_01'), await cluster.robot(1, 'robot_02')];
        const stuck = await cluster.website(1);
        stuck.ws.pause();
        await website.sees(['robot_01', 'robot_02']);
        const at = performance.now();
        const ended = cluster.relay(1).terminate(6000);
        for (const peer of peers) assert.equal(await peer.closed(), 1001);
        assert.deepEqual(await ended, { status: 0, signal: null });
        const took = performance.now() - at;
        assert.ok(took <= 5000, `${took} ms`);
        await website.sees([], 2000);
        assert.equal(website.count(robotWent('robot_01')), 1);
        assert.equal(website.count(robotWent('robot_02')), 1);
        await assert.rejects(cluster.website(1));
        await cluster.startRelay(1);
        const robot = await cluster.robot(1, 'robot_01');
        await website.sees(['robot_01']);
        assert.equal((await website.ask({ type: 'set_speed', value: 7 })).robots, 1);
        await robot.next({ value: 7 });
        await cluster.clear();
    });

    it('a second relay of the same name takes over after the first was killed', async () => {
        const robot = await cluster.robot(1, 'robot_05');
        await cluster.killRelay(1);
        await robot.closed();
        await cluster.startRelay(1);
        const back = await cluster.robot(1, 'robot_05');
        const website = await cluster.website(2);
        await website.sees(['robot_05']);
        const answer = await website.ask({ type: 'set_speed', value: 8, device_id: 'robot_05' });
        assert.equal(answer.robots, 1, JSON.stringify(answer));
        await back.next({ value: 8 });
    });
});
