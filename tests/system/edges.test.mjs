// Goal: the corners of the relay's WebSocket side: odd upgrades, odd queries, empty fragments, a sender over its
// limit, a relay that was stopped for a while.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, pause, RawPeer, robotGreeting, until } from './lib/harness.mjs';
import { frame, OP, upgrade } from './lib/raw.mjs';

const ask = JSON.stringify({ type: 'request_frame', id: 'after' });

describe('a relay', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 1, flags: ['--message-ms', '300'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    for (const target of ['/ws/telemetry/?&device_id=r1', '/ws/telemetry?a=&device_id=r1', '/ws/telemetry/?a&&b=1&device_id=r1',
        '/ws/telemetry/?xdevice_id=no&device_id=r1', '/ws/telemetry/?device_id=%72%31'])
        it(`takes ${target} for a robot`, async () => {
            const peer = await cluster.raw(1, target);
            assert.equal(peer.status, 101);
            assert.deepEqual(await peer.message((one) => one.type === 'connection'), robotGreeting('r1'));
        });

    for (const target of ['/ws/telemetry/?device_id=', '/ws/telemetry/?device_id', '/ws/telemetry/?&device_id=a%20b',
        '/ws/telemetry/?device_id=r1%2f..', `/ws/telemetry/?device_id=${'a'.repeat(65)}`])
        it(`refuses ${target.slice(0, 50)}`, async () => {
            assert.equal((await cluster.raw(1, target)).status, 400);
        });

    for (const Upgrade of ['h2c', 'foo', 'websocket, h2c', ''])
        it(`does not upgrade to "${Upgrade}", and lives on`, async () => {
            const headers = { Upgrade, Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA' };
            const peer = await RawPeer.dial(cluster.socketPath(1));
            peer.write(upgrade('/ws/telemetry/', headers));
            await peer.answered();
            assert.notEqual(peer.status, 101);
            peer.destroy();
            assert.equal((await cluster.raw(1)).status, 101);
        });

    it('joins fragments of which the first are empty, and keeps the connection', async () => {
        const peer = await cluster.raw(1);
        peer.write(frame(OP.text, '', { fin: false }));
        peer.write(frame(OP.more, '', { fin: false }));
        peer.write(frame(OP.more, ask));
        await peer.message((one) => one.type === 'ack' && one.id === 'after');
        await pause(700); // longer than a message may take
        assert.ok(!peer.ended);
        peer.write(frame(OP.text, '', { fin: false }));
        peer.write(frame(OP.more, ''));
        assert.equal((await peer.message((one) => one.type === 'error')).code, 'invalid_json');
        peer.write(frame(OP.text, ''));
        await until(() => peer.messages().filter((one) => one.code === 'invalid_json').length === 2, 2000, 'the second error');
    });

    it('closes a message that is not completed in time, also when its first fragment is empty', async () => {
        const peer = await cluster.raw(1);
        peer.write(frame(OP.text, '', { fin: false }));
        assert.equal(await peer.closed(), 4009);
    });

    it('that was stopped for a while neither loses Redis nor its peers', async () => {
        const website = await cluster.website(1);
        const slow = await cluster.raw(1);
        slow.write(frame(OP.text, ask.slice(0, 10), { fin: false }));
        await website.settled();
        cluster.relay(1).signal('SIGSTOP');
        slow.write(frame(OP.more, ask.slice(10)));
        await pause(1500); // two times what makes Redis unhealthy
        cluster.relay(1).signal('SIGCONT');
        await slow.message((one) => one.type === 'ack', 3000);
        await website.settled();
        await pause(300);
        assert.equal(website.count('relay_status'), 0);
        assert.doesNotMatch(cluster.relay(1).log(), /redis_lost/);
    });
});

describe('a long list', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 1 });
    });
    after(() => cluster.stop());

    it('of who is online is told whole, however little may wait in a queue', async () => {
        const redis = await cluster.redis();
        const ids = Array.from({ length: 3000 }, (_, i) => `robot_${i}`);
        const now = Date.now();
        await redis.call('ZADD', 'tr:relays', now + 60000, 'other#1');
        await redis.call('HSET', 'tr:online', ...ids.flatMap((id, i) => [id, `${i + 1} ${now} other#1 other`]));
        await cluster.relay(1).terminate();
        await cluster.startRelay(1);
        const website = await cluster.website(1);
        const listed = () => website.history.map((entry) => entry.message).filter((one) => one.type === 'connection' && one.device_type === 'robot').map((one) => one.device_id);
        await until(() => listed().length >= ids.length, 10000, 'the list');
        assert.deepEqual(listed().sort(), ids.sort());
    });
});

describe('a sender over its limit', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 1, flags: ['--website-rate', '1', '--website-burst', '50'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    const exhaust = async (website) => {
        let refused;
        do {
            website.send({ type: 'robot_move', x: 0.5, y: 0.5 });
            website.send({ type: 'camera_move', x: 0.5, y: 0.5 });
            refused = (await website.next((one) => one.type !== 'connection')).code === 'rate_limited';
        } while (!refused);
        await website.next({ code: 'rate_limited' });
    };

    it('may still stop what it has set in motion, of either kind', async () => {
        const website = await cluster.website(1);
        await exhaust(website);
        for (const type of ['camera_move', 'robot_move']) {
            website.send({ type, x: 0, y: 0, id: type });
            assert.deepEqual((await website.next({ id: type })).code, undefined);
        }
        website.send({ type: 'robot_move', x: 0, y: 0, id: 'again' });
        assert.equal((await website.next({ id: 'again' })).code, 'rate_limited');
    });

    it('is closed with 1009 for a message that is too large', async () => {
        const peer = await cluster.raw(1);
        for (let i = 0; i < 60; i++) peer.write(frame(OP.text, ask));
        await peer.message((one) => one.code === 'rate_limited');
        peer.write(frame(OP.text, ask.padEnd(5000)));
        assert.equal(await peer.closed(), 1009);
    });
});
