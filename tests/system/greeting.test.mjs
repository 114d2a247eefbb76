// Goal: a peer is greeted exactly as the protocol says, every website on every relay learns once who
// comes and goes, and only a well-formed request becomes a WebSocket.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import {
    Cluster, GREETING, RawPeer, Refused, robotCame, robotGreeting, robotOnline, robotWent,
} from './lib/harness.mjs';
import { upgrade } from './lib/raw.mjs';

describe('greeting', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    it('greets a website, then names the robots that are online on any relay', async () => {
        const watchers = [await cluster.website(1), await cluster.website(2)];
        await cluster.robot(1, 'robot_01');
        await cluster.robot(2, 'robot_02');
        for (const watcher of watchers) await watcher.sees(['robot_01', 'robot_02']);
        for (const relay of [1, 2]) {
            const website = await cluster.peer(relay, '');
            assert.deepEqual(await website.next(), GREETING);
            await website.seen({ device_id: 'robot_01' });
            await website.seen({ device_id: 'robot_02' });
            await website.settled();
            const listed = website.all({ type: 'connection', device_type: 'robot' });
            listed.sort((a, b) => a.device_id.localeCompare(b.device_id));
            assert.deepEqual(listed, [robotOnline('robot_01'), robotOnline('robot_02')]);
        }
    });

    it('greets a robot', async () => {
        const robot = await cluster.peer(1, '?device_id=robot_01');
        assert.deepEqual(await robot.next(), robotGreeting('robot_01'));
    });

    it('tells all websites on both relays once that a robot came and went', async () => {
        const websites = [await cluster.website(1), await cluster.website(1), await cluster.website(2)];
        const robot = await cluster.robot(2, 'robot_01');
        for (const website of websites)
            assert.deepEqual(await website.next({ device_type: 'robot' }), robotCame('robot_01'));
        await robot.leave();
        for (const website of websites)
            assert.deepEqual(await website.next({ device_type: 'robot' }), robotWent('robot_01'));
        // Another robot that comes and goes afterwards shows that nothing was told twice.
        const marker = await cluster.robot(1, 'marker');
        await marker.leave();
        for (const website of websites) {
            await website.next(robotWent('marker'));
            assert.deepEqual(website.all({ device_type: 'robot' }),
                [robotCame('robot_01'), robotWent('robot_01'), robotCame('marker'), robotWent('marker')]);
        }
    });

    it('tells that a robot which vanished without a word is gone', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        await website.next(robotCame('robot_01'));
        robot.drop();
        await website.next(robotWent('robot_01'));
    });

    it('works at both paths, and ignores other query parameters', async () => {
        for (const at of ['/ws/telemetry', '/ws/telemetry/']) {
            const website = await cluster.peer(1, '?foo=bar&x=%41', { at });
            assert.deepEqual(await website.next(), GREETING);
            const robot = await cluster.peer(2, '?a=1&device_id=robot_01&b=2&device_identity=x', { at });
            assert.deepEqual(await robot.next(), robotGreeting('robot_01'));
            await robot.leave();
        }
    });

    it('decodes device_id', async () => {
        for (const [text, id] of [
            ['robot%5F01', 'robot_01'], ['%72%6f%62%6F%74', 'robot'], ['a.b-c_d', 'a.b-c_d'], ['x'.repeat(64), 'x'.repeat(64)],
            ['%41'.repeat(64), 'A'.repeat(64)],
        ]) {
            const robot = await cluster.peer(1, `?device_id=${text}`);
            assert.deepEqual(await robot.next(), robotGreeting(id));
            await robot.leave();
        }
    });

    it('refuses an invalid device_id with HTTP 400', async () => {
        for (const text of [
            '', 'x'.repeat(65), 'x'.repeat(3000), 'a%20b', 'a+b', '%20', 'a/b', 'a%2Fb', '..%2f',
            'r%C3%B6bot', '%FF', 'a:b', 'a*', '%22', '%3Cb%3E', 'a%25', '%E2%80%8B',
        ]) {
            const peer = await cluster.raw(1, `/ws/telemetry/?device_id=${text}`);
            assert.equal(peer.status, 400, `device_id=${text.slice(0, 80)}`);
            await peer.ending();
        }
    });

    // libwebsockets has answers of its own for these; nginx refuses them with 400 before it comes to that.
    it('lets no query through that cannot be decoded', async () => {
        for (const text of ['a%00', '%00', 'a%00b', 'r\u00f6bot', '%', '%4', '%zz', 'a%2']) {
            const peer = await RawPeer.dial(cluster.socketPath(1));
            peer.write(Buffer.from(upgrade(`/ws/telemetry/?device_id=${text}`), 'latin1'));
            await peer.answered();
            assert.ok(peer.status === 400 || peer.status === 403 || (peer.status === 0 && peer.ended), `${text}: status ${peer.status}`);
            peer.destroy();
        }
    });

    it('refuses a second device_id that says something else', async () => {
        const peer = await cluster.raw(1, '/ws/telemetry/?device_id=robot_01&device_id=robot_02');
        if (peer.status === 101) {
            // One of them may count; it must be the same one for everybody, and it must be valid.
            await peer.message((message) => message.type === 'connection');
            assert.match(peer.messages()[0].device_id, /^robot_0[12]$/);
        } else assert.equal(peer.status, 400);
    });

    it('knows no other path', async () => {
        for (const target of ['/', '/ws', '/ws/', '/ws/telemetry/x', '/ws/telemetryx', '/api/telemetry',
            '/ws/other?device_id=robot_01', '/../etc/passwd', '/WS/TELEMETRY']) {
            const peer = await cluster.raw(1, target);
            assert.equal(peer.status, 404, target);
            peer.destroy();
        }
    });

    it('does not answer plain HTTP with content', async () => {
        const peer = await RawPeer.dial(cluster.socketPath(1));
        peer.write('GET /ws/telemetry/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
        await peer.answered();
        assert.ok(peer.status === 0 || peer.status >= 400, `status ${peer.status}`);
        peer.destroy();
    });

    it('negotiates no extension', async () => {
        const peer = await cluster.raw(1, '/ws/telemetry/', {
            headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
        });
        assert.equal(peer.status, 101);
        assert.equal(peer.headers['sec-websocket-extensions'], undefined);
    });

    it('refuses a robot without upgrade headers cleanly', async () => {
        await assert.rejects(cluster.peer(1, '', { at: '/nowhere' }), (error) => error instanceof Refused && error.status === 404);
    });
});
