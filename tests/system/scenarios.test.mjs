// Goal: the three everyday situations work with robots and websites on different relays: one of each,
// two robots, two websites.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, assertCommand, assertStamped, robotCame, robotWent } from './lib/harness.mjs';

const sample = (battery) => ({ battery, cpu: 45.2, temperature: 34.8, signal: 89.5 });

describe('scenarios', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    it('one website and one robot', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        await website.next(robotCame('robot_01'));

        assertStamped(await website.ask({ type: 'robot_move', x: 0.5, y: -0.3 }), {
            type: 'ack', original_type: 'robot_move', status: 'received', message: 'Command received: Robot move x=0.5, y=-0.3', robots: 1,
        });
        assertCommand(await robot.next('robot_move'), { type: 'robot_move', x: 0.5, y: -0.3 });
        assert.equal((await website.ask({ type: 'set_speed', value: 60 })).message, 'Command received: Speed set to 60%');
        assert.equal((await robot.next('set_speed')).value, 60);

        assert.equal((await robot.telemetry(sample(85))).message, 'Telemetry data received and saved');
        const update = await website.next('telemetry_update');
        assertStamped(update, { type: 'telemetry_update', device_id: 'robot_01', ...sample(85), ...(update.device_name ? { device_name: update.device_name } : {}) });

        await robot.leave();
        await website.next(robotWent('robot_01'));
        assert.equal((await website.ask({ type: 'set_speed', value: 61 })).robots, 0);
    });

    it('two robots: telemetry of both, a command to all, a command to one', async () => {
        const website = await cluster.website(1);
        const robots = [await cluster.robot(1, 'robot_01'), await cluster.robot(2, 'robot_02')];
        await website.sees(['robot_01', 'robot_02']);
        for (const [i, robot] of robots.entries()) {
            await robot.telemetry(sample(80 + i));
            const update = await website.next('telemetry_update');
            assert.equal(update.device_id, robot.deviceId);
            assert.equal(update.battery, 80 + i);
        }
        assert.equal((await website.ask({ type: 'robot_move', x: 0.1, y: 0.2 })).robots, 2);
        for (const robot of robots) assertCommand(await robot.next('robot_move'), { type: 'robot_move', x: 0.1, y: 0.2 });
        assert.equal((await website.ask({ type: 'set_brightness', value: 30, device_id: 'robot_02' })).robots, 1);
        await robots[1].next({ type: 'set_brightness', value: 30 });
        assert.equal((await website.ask({ type: 'set_brightness', value: 31 })).robots, 2);
        for (const robot of robots) await robot.next({ type: 'set_brightness', value: 31 });
        assert.equal(robots[0].count('set_brightness'), 1);
        assert.equal(robots[1].count('set_brightness'), 2);
    });

    it('two websites: both see, either drives', async () => {
        const desktop = await cluster.website(1);
        const mobile = await cluster.website(2);
        const robot = await cluster.robot(2, 'robot_01');
        for (const website of [desktop, mobile]) await website.sees(['robot_01']);
        await robot.telemetry(sample(70));
        const texts = [];
        for (const website of [desktop, mobile]) texts.push(website.raw(await website.next({ type: 'telemetry_update', battery: 70 })));
        assert.equal(texts[0], texts[1]);
        assert.equal((await desktop.ask({ type: 'robot_move', x: 1, y: 0 })).robots, 1);
        await robot.next({ type: 'robot_move', x: 1 });
        assert.equal((await mobile.ask({ type: 'robot_move', x: -1, y: 0 })).robots, 1);
        await robot.next({ type: 'robot_move', x: -1 });
        // An ack is for the one who asked.
        assert.equal(desktop.count('ack'), 1);
        assert.equal(mobile.count('ack'), 1);
        // One leaves; the other goes on.
        await mobile.leave();
        await robot.telemetry(sample(69));
        await desktop.next({ type: 'telemetry_update', battery: 69 });
        assert.equal((await desktop.ask({ type: 'camera_move', x: 0, y: 1 })).robots, 1);
        await robot.next('camera_move');
    });
});
