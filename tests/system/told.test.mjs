// Goal: nothing is silent: also who gives commands no id hears when they are dropped; who answers is not cut off for it; an
// id that is repeated does nothing twice; and what is kept cannot be pushed out by one robot that talks.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, obedient, pause, until } from './lib/harness.mjs';

describe('told', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--robot-rate', '5', '--robot-burst', '20', '--website-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    it('a command without an id that came too late to the relay of its robot', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        cluster.relay(2).signal('SIGSTOP');
        try {
            assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 1, ttl_ms: 50 })).robots, 1);
            await pause(100); // the command is old
        } finally {
            cluster.relay(2).signal('SIGCONT');
        }
        const { error, code, original_type: type } = await website.seen('error');
        assert.deepEqual([code, type], ['expired', 'robot_move']);
        assert.match(error, /^robot_01: /);
        await website.settled();
        assert.equal(robot.count('robot_move'), 0);
        // A command that is sent in time is not spoken of again.
        assert.equal((await website.ask({ type: 'set_speed', value: 5 })).robots, 1);
        await robot.seen('set_speed');
        await robot.leave();
        await website.settled();
        assert.deepEqual(website.all({ type: 'error', original_type: 'set_speed' }), []);
    });

    it('a zero is never too late', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'robot_move', x: 0, y: 1 });
        await robot.seen({ type: 'robot_move', y: 1 });
        cluster.relay(2).signal('SIGSTOP');
        try {
            assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 0, ttl_ms: 50 })).robots, 1);
            await pause(700); // any other motion would be dropped
        } finally {
            cluster.relay(2).signal('SIGCONT');
        }
        await robot.seen({ type: 'robot_move', y: 0 });
    });

    it('a robot may answer with what it has said before: that does not go round and round', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        let first;
        robot.ws.on('message', (data) => {
            const m = JSON.parse(data.toString());
            if (m.type === 'stop') robot.send({ type: 'stop_state', stopped: true, seq: (first ??= m.seq) });
        });
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'stop' });
        await website.seen({ type: 'stop_state', confirmed: true });
        await website.ask({ type: 'stop' });
        await pause(500); // time for many
        assert.ok(robot.count('stop') <= 5, `${robot.count('stop')} stops`);
        robot.drop();
        await website.ask({ type: 'rearm' });
    });

    it('a robot may answer whatever it is asked', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        robot.ws.on('message', (data) => {
            const m = JSON.parse(data.toString());
            if (m.id) robot.send({ type: 'ack', id: m.id, seq: m.seq, status: 'applied' });
        });
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        for (let i = 0; i < 200; i++) website.send({ type: 'set_speed', value: 50, id: `c-${i}` });
        for (let i = 0; i < 200; i++) await website.seen({ id: `c-${i}`, status: 'applied' });
        assert.equal(robot.count({ code: 'rate_limited' }), 0);
        for (let i = 0; i < 40; i++) robot.send({ type: 'ack', id: `c-${i}`, status: 'applied' }); // nobody waits for these
        await robot.seen({ code: 'rate_limited' });
    });

    it('a late answer to one command is not taken for that of another', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const [one, two] = [await cluster.website(1), await cluster.website(2)];
        for (const website of [one, two]) await website.sees(['robot_01']);
        await one.ask({ type: 'set_speed', value: 1, id: '1' });
        const first = await robot.seen({ type: 'set_speed', value: 1 });
        robot.send({ type: 'ack', id: '1', seq: first.seq, status: 'applied' });
        await one.seen({ id: '1', status: 'applied' });
        await two.ask({ type: 'set_speed', value: 2, id: '1' }); // ids are each website's own
        const second = await robot.seen({ type: 'set_speed', value: 2 });
        robot.send({ type: 'ack', id: '1', seq: first.seq, status: 'applied' }); // once more
        robot.send({ type: 'ack', id: '1', seq: second.seq, status: 'rejected', reason: 'old' });
        assert.equal((await two.seen((m) => m.id === '1' && m.status !== 'received')).status, 'rejected');
    });

    it('a re-arm that is repeated undoes no newer stop; a stop that is repeated stops', async () => {
        const robot = obedient(await cluster.robot(2, 'robot_01'));
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'stop', id: 's' });
        assert.equal((await website.ask({ type: 'rearm', id: 'r' })).robots, 1);
        await robot.seen('rearm');
        await website.ask({ type: 'stop', id: 's' });
        await until(() => robot.stopped, 2000, 'stopped again');
        website.send({ type: 'rearm', id: 'r' });
        assert.equal((await website.seen({ id: 'r', duplicate: true })).robots, 0);
        await website.settled();
        assert.equal(robot.count({ type: 'rearm', id: 'r' }), 1);
        website.send({ type: 'robot_move', x: 0, y: 1 });
        await website.seen({ code: 'stopped' });
        await website.ask({ type: 'rearm', id: 'r2' });
        await website.seen({ type: 'stop_state', device_id: 'robot_01', stopped: false, confirmed: true });
    });

});

describe('with control', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--control', 'exclusive'] });
    });
    after(() => cluster.stop());

    it('nobody hears of zeros that the relay sends by itself', async () => {
        const robot = obedient(await cluster.robot(2, 'robot_01'));
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'stop' });
        await website.seen({ type: 'stop_state', stopped: true, confirmed: true });
        assert.equal((await website.ask({ type: 'control_acquire', device_id: 'robot_01' })).type, 'ack'); // with zeros, which a stopped robot needs not
        await website.ask({ type: 'rearm' });
        await website.seen({ type: 'stop_state', stopped: false, confirmed: true });
        await website.ask({ type: 'robot_move', x: 0, y: 1 });
        const from = robot.history.length;
        await robot.seen({ type: 'robot_move', x: 0, y: 0 }, 3000, from); // it has been silent
        await website.settled();
        assert.deepEqual(website.all((m) => m.type === 'error' && !m.original_type.startsWith('settled')), []);
    });
});

describe('kept', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--robot-rate', '0'] });
    });
    after(() => cluster.stop());

    it('status messages reach everybody, but do not fill the history', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        await website.sees(['robot_01']);
        for (let n = 0; n < 60; n++) robot.send({ type: 'status', status: 'ok', message: String(n) });
        await website.seen({ type: 'robot_status', message: '59' });
        assert.equal(website.count('robot_status'), 60);
        const kept = (await (await cluster.redis()).call('XRANGE', 'tr:events', '-', '+')).filter(([, fields]) => fields[1].includes('"kind":"status"'));
        assert.ok(kept.length >= 20 && kept.length < 40, `${kept.length} are kept`);
    });
});
