// Who did what, as the real relays and a real robot make it: driving, stop, re-arm and control over WebSockets, and
// all of it read back over HTTP.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Stack, assertRecent, until } from './lib/harness.mjs';

const ack = (website, id, status) => website.seen({ type: 'ack', id, status });

// Every page of a path: its items, oldest first.
async function read(stack, target) {
    const items = [];
    for (let cursor = ''; cursor !== null;) {
        const page = await stack.get(`${target}&order=asc&limit=3${cursor && `&cursor=${cursor}`}`);
        items.push(...page.items);
        cursor = page.next_cursor;
    }
    return items;
}
const commands = (stack) => read(stack, '/api/commands?device_id=robot_01');
const events = (stack, query = '') => read(stack, `/api/events?device_id=robot_01${query}`);
const device = (stack) => stack.get('/api/devices/robot_01');

// The command with that id, once its outcome has been stored.
const command = (stack, id, outcome) => until(async () => (await commands(stack)).find((c) => c.command_id === id && c.outcome === outcome),
    3000, `${id} ${outcome}`);

function assertStages(item, ...names) {
    assert.deepEqual(item.stages.map((stage) => stage.stage), names);
    const times = item.stages.map((stage) => Date.parse(stage.timestamp));
    assert.deepEqual(times, [...times].sort((a, b) => a - b));
    for (const stage of item.stages) assertRecent(stage.timestamp, 30000);
    assertRecent(item.timestamp, 30000);
}

describe('anyone may drive', () => {
    let stack, website;
    before(async () => {
        stack = await Stack.start({ relays: 2, robots: 1 });
        website = await stack.website();
        await website.sees(['robot_01']);
    });
    after(() => stack?.stop());

    it('a command: who, what, when, and that it was applied', async () => {
        website.send({ type: 'robot_move', x: 0.25, y: -0.5, id: 'm-1', device_id: 'robot_01' });
        await ack(website, 'm-1', 'applied');
        const item = await command(stack, 'm-1', 'applied');
        assertStages(item, 'received', 'sent', 'applied');
        const { id, timestamp, stages, seq, by, relay, ...rest } = item;
        assert.deepEqual(rest, { device_id: 'robot_01', type: 'robot_move', command_id: 'm-1', x: 0.25, y: -0.5, outcome: 'applied' });
        assert.match(id, /^\d+-\d+$/);
        assert.ok(Number.isSafeInteger(seq) && seq > 1.7e15);
        assert.match(by, /^guest-[0-9a-f]{6}$/);
        assert.match(relay, /^wsd-[12]$/);
    });

    it('a stop and a re-arm, what is refused between them, and the state of the device', async () => {
        assert.deepEqual((await device(stack)).stop.stopped, false);
        website.send({ type: 'stop', id: 's-1' });
        await ack(website, 's-1', 'applied');
        await website.seen({ type: 'stop_state', device_id: 'robot_01', stopped: true, confirmed: true });
        const stopped = (await device(stack)).stop;
        assertRecent(stopped.timestamp);
        assert.deepEqual({ ...stopped, by: null, timestamp: null }, { stopped: true, confirmed: true, by: null, timestamp: null });
        website.send({ type: 'robot_move', x: 0, y: 1, id: 'm-2', device_id: 'robot_01' });
        await website.seen({ type: 'error', id: 'm-2', code: 'stopped' });
        website.send({ type: 'set_speed', value: 60, id: 'v-1', device_id: 'robot_01' });
        await ack(website, 'v-1', 'applied');
        website.send({ type: 'rearm', id: 'r-1', device_id: 'robot_01' });
        await ack(website, 'r-1', 'applied');
        await website.seen({ type: 'stop_state', device_id: 'robot_01', stopped: false, confirmed: true });
        website.send({ type: 'robot_move', x: 0, y: 0, id: 'm-3', device_id: 'robot_01' });
        await ack(website, 'm-3', 'applied');

        await command(stack, 'm-3', 'applied');
        const items = await commands(stack);
        const by = items[0].by;
        assert.equal(stopped.by, by);
        const named = items.filter((item) => item.command_id);
        assert.deepEqual(named.map((item) => [item.command_id, item.type, item.outcome]), [
            ['m-1', 'robot_move', 'applied'], ['s-1', 'stop', 'applied'], ['m-2', 'robot_move', 'stopped'],
            ['v-1', 'set_speed', 'applied'], ['r-1', 'rearm', 'applied'], ['m-3', 'robot_move', 'applied'],
        ]);
        for (const item of named) {
            assert.equal(item.by, by);
            if (item.outcome === 'applied') assertStages(item, 'received', 'sent', 'applied');
            else assertStages(item, 'received', 'stopped');
        }
        assert.equal(named[3].value, 60);
        const seqs = items.map((item) => item.seq);
        assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b), 'numbers rise');
        const { stop, control } = await device(stack);
        assert.deepEqual([stop.stopped, stop.confirmed, stop.by], [false, true, by]);
        assert.deepEqual(control, { holder: null, epoch: 0 });

        const told = await events(stack, '&kind=stop,rearm,confirmed');
        assert.deepEqual(told.map((event) => [event.kind, event.by, event.stopped, event.seq]), [
            ['stop', by, undefined, named[1].seq], ['confirmed', undefined, true, named[1].seq],
            ['rearm', by, undefined, named[4].seq], ['confirmed', undefined, false, named[4].seq],
        ]);
        for (const event of told) assertRecent(event.timestamp, 30000);
        assert.deepEqual((await events(stack)).filter((event) => event.kind === 'connected').length, 1);
    });

    it('a zero that a relay sent in somebody\'s name says so', async () => {
        const before = await commands(stack);
        website.send({ type: 'robot_move', x: 0, y: 0.5, id: 'm-4', device_id: 'robot_01' });
        await ack(website, 'm-4', 'applied');
        const zero = await until(async () => (await commands(stack)).find((item) => item.cause === 'deadman'), 3000, 'the zero of the relay');
        const moved = await command(stack, 'm-4', 'applied');
        assert.deepEqual([zero.type, zero.x, zero.y, zero.by, zero.command_id], ['robot_move', 0, 0, moved.by, undefined]);
        assert.ok(zero.seq > moved.seq);
        assert.equal(moved.cause, undefined);
        assert.ok(before.every((item) => item.cause === undefined));
    });

    it('a robot that comes, speaks and goes', async () => {
        const robot = await stack.robot('visitor');
        robot.send({ type: 'status', status: 'ready', message: 'Says "hello" ä' });
        await website.seen({ type: 'robot_status', device_id: 'visitor' });
        await robot.leave();
        await website.sees(['robot_01']);
        const told = await until(async () => {
            const items = await read(stack, '/api/events?device_id=visitor');
            return items.some((item) => item.kind === 'status') && items;
        }, 3000, 'the status is stored');
        assert.deepEqual(told.map((event) => event.kind), ['connected', 'status', 'disconnected']);
        assert.match(told[0].relay, /^wsd-[12]$/);
        assert.deepEqual([told[1].status, told[1].message], ['ready', 'Says "hello" ä']);
        website.send({ type: 'robot_move', x: 1, y: 1, id: 'm-9', device_id: 'visitor' });
        await website.seen({ type: 'error', id: 'm-9', code: 'no_robot' });
        const { items } = await stack.get('/api/commands?device_id=visitor');
        assert.deepEqual(items.map((item) => [item.command_id, item.outcome]), [['m-9', 'no_robot']]);
    });
});

describe('one drives at a time', () => {
    let stack, driver, other;
    before(async () => {
        stack = await Stack.start({ relays: 2, robots: 1, env: { CONTROL: 'exclusive' } });
        [driver, other] = [await stack.website(), await stack.website()];
        await driver.sees(['robot_01']);
        await other.sees(['robot_01']);
    });
    after(() => stack?.stop());

    it('grants, refusals and the end of control', async () => {
        driver.send({ type: 'control_acquire', id: 'a-1', device_id: 'robot_01' });
        const granted = await driver.seen({ type: 'control_state', device_id: 'robot_01', you: true });
        assert.deepEqual((await device(stack)).control, { holder: granted.holder, epoch: granted.epoch });
        driver.send({ type: 'robot_move', x: 0, y: 0.5, id: 'm-1', device_id: 'robot_01' });
        await ack(driver, 'm-1', 'applied');
        other.send({ type: 'robot_move', x: 0, y: -0.5, id: 'm-2', device_id: 'robot_01' });
        await other.seen({ type: 'error', id: 'm-2', code: 'not_in_control' });
        driver.send({ type: 'control_release', id: 'a-2', device_id: 'robot_01' });
        await other.seen((message) => message.type === 'control_state' && message.holder === null && message.epoch > granted.epoch);

        const moved = await command(stack, 'm-1', 'applied');
        assert.deepEqual([moved.by, moved.epoch], [granted.holder, granted.epoch]);
        const refused = await command(stack, 'm-2', 'not_in_control');
        assertStages(refused, 'received', 'not_in_control');
        assert.notEqual(refused.by, granted.holder);
        const { control } = await device(stack);
        assert.equal(control.holder, null);
        const told = await events(stack, '&kind=control');
        assert.deepEqual(told.map((event) => [event.by, event.what, event.epoch]),
            [[granted.holder, 'acquire', granted.epoch], [granted.holder, 'release', control.epoch]]);
        const zeros = (await commands(stack)).filter((item) => item.cause === 'grant');
        assert.deepEqual(zeros.map((item) => [item.type, item.x, item.y, item.by, item.epoch]),
            ['robot_move', 'camera_move'].map((type) => [type, 0, 0, granted.holder, granted.epoch]));
    });

    it('control that is taken, and control whose holder goes', async () => {
        const state = (of, epoch) => of.seen((message) => message.type === 'control_state' && message.epoch > epoch);
        const { control } = await device(stack);
        driver.send({ type: 'control_acquire', device_id: 'robot_01' });
        const first = await state(other, control.epoch);
        other.send({ type: 'control_acquire', device_id: 'robot_01', take: true });
        const second = await state(driver, first.epoch);
        await other.leave();
        const ended = await state(driver, second.epoch);
        assert.deepEqual((await events(stack, '&kind=control')).slice(2).map((event) => [event.by, event.what, event.epoch]),
            [[first.holder, 'acquire', first.epoch], [second.holder, 'take', second.epoch], [second.holder, 'expire', ended.epoch]]);
    });
});
