// Goal: clients that were written for the system before this one work unchanged, through nginx, at the
// address they know.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { GREETING, Stack, assertStamped, robotCame, robotGreeting, robotOnline, robotWent, until, within } from './lib/harness.mjs';

const SCRIPT = fileURLToPath(new URL('old_client.py', import.meta.url));

// A running old_client.py: its lines, those that are JSON parsed.
class OldClient {
    lines = [];

    constructor(...words) {
        this.child = spawn('/usr/bin/python3', [SCRIPT, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
        this.exited = new Promise((resolve) => this.child.on('exit', resolve));
        let rest = '';
        this.child.stdout.on('data', (data) => {
            const parts = (rest + data).split('\n');
            rest = parts.pop();
            for (const line of parts) this.lines.push(line.startsWith('{') ? JSON.parse(line) : line);
        });
    }

    send(message) {
        this.child.stdin.write(`${JSON.stringify(message)}\n`);
    }

    line(test, ms = 5000) {
        return until(() => this.lines.find(test), ms, `a line like ${test}`);
    }

    async end() {
        this.child.kill('SIGKILL');
        await within(this.exited, 3000, 'the old client ended');
    }
}

describe('old clients', () => {
    let stack, robot, website;
    before(async () => {
        stack = await Stack.start({ relays: 2, robots: 0 });
    });
    after(async () => {
        await robot?.end();
        await website?.end();
        await stack?.stop();
    });

    it('a robot and a dashboard in Python', async () => {
        website = new OldClient('website', `ws://localhost:${stack.port}/ws/telemetry/`);
        assert.deepEqual(await website.line((line) => line.type === 'connection'), GREETING);
        robot = new OldClient('robot', `ws://localhost:${stack.port}/ws/telemetry/`, 'robot_01');
        assert.deepEqual(await robot.line((line) => line.type === 'connection'), robotGreeting('robot_01'));
        assert.deepEqual(await website.line((line) => line.device_id === 'robot_01' && line.type === 'connection'), robotCame('robot_01'));

        assertStamped(await robot.line((line) => line.type === 'ack'),
            { type: 'ack', original_type: 'telemetry', status: 'received', message: 'Telemetry data received and saved' });
        const update = await website.line((line) => line.type === 'telemetry_update');
        assert.equal(update.device_id, 'robot_01');
        assert.equal(update.temperature, 35);
        assert.equal(update.signal, 90);
        assert.ok(update.battery > 83 && update.battery <= 85 && update.cpu >= 45);

        for (const [message, text, printed] of [
            [{ type: 'robot_move', x: 0.5, y: -0.3, client_ts: 1 }, 'Robot move x=0.5, y=-0.3', 'Robot move x=0.5, y=-0.3'],
            [{ type: 'camera_move', x: -1, y: 0.25 }, 'Camera move x=-1, y=0.25', 'Camera move x=-1, y=0.25'],
            [{ type: 'set_speed', value: 60 }, 'Speed set to 60%', 'Set speed to 60%'],
            [{ type: 'set_brightness', value: 80 }, 'Brightness set to 80%', 'Set brightness to 80%'],
        ]) {
            website.send(message);
            assertStamped(await website.line((line) => line.type === 'ack' && line.original_type === message.type),
                { type: 'ack', original_type: message.type, status: 'received', message: `Command received: ${text}`, robots: 1 });
            await robot.line((line) => line === `COMMAND: ${printed}`);
        }
        website.send({ type: 'set', name: 'speed', value: 30 });
        await robot.line((line) => line === 'COMMAND: Set speed to 30%');

        const late = await stack.website();
        await late.seen(robotOnline('robot_01'));
        await robot.end();
        await website.line((line) => line.status === 'disconnected');
        await late.seen(robotWent('robot_01'));
    });

    it('the last hundred battery values at their old address', async () => {
        const list = await stack.get('/api/battery-history/?device_id=robot_01');
        assert.ok(Array.isArray(list) && list.length > 0 && list.length <= 100);
        for (const [ms, battery] of list) assert.ok(Math.abs(Date.now() - ms) < 60000 && battery > 83 && battery <= 85);
    });
});
