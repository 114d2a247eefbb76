// Goal: the bounds on connections and devices hold, configuration faults are named with file, line and
// key, and SIGHUP changes what can change without losing anybody.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Cluster, RawPeer, program, sanitizerEnv, temporaryDirectory, until } from './lib/harness.mjs';

describe('bounds', () => {
    let cluster;
    afterEach(() => cluster.stop());

    it('max_connections: one more is turned away, and has its place once somebody leaves', async () => {
        cluster = await Cluster.start({ relays: 1, flags: ['--max-connections', '12'] });
        const files = cluster.relay(1).openFiles();
        const websites = [];
        await until(async () => {
            const peer = await RawPeer.connect(cluster.socketPath(1), '/ws/telemetry/').catch(() => null);
            if (peer && peer.status === 101) websites.push(peer);
            return !peer || peer.status !== 101;
        }, 5000, 'somebody is turned away', 1);
        assert.ok(websites.length >= 10 && websites.length <= 12, `${websites.length} of 12 came in`);
        websites.pop().destroy();
        const robot = await until(() => cluster.robot(1, 'robot_01', { ms: 1000 }), 3000, 'there is room again');
        assert.equal((await robot.telemetry({ battery: 5 })).type, 'ack');
        robot.drop();
        for (const website of websites) website.destroy();
        await until(() => cluster.relay(1).openFiles() <= files, 3000, 'all are gone');
    });

    it('max_devices: unknown robots are turned away, known ones may return', async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--max-devices', '3'] });
        const website = await cluster.website(1);
        for (const [n, id] of ['robot_01', 'robot_02', 'robot_03'].entries()) {
            const robot = await cluster.robot(1 + (n % 2), id);
            await website.seen({ device_id: id, status: 'connected' });
            await robot.leave();
        }
        const fourth = await cluster.peer(1, '?device_id=robot_04');
        assert.equal((await fourth.next('error')).code, 'not_allowed');
        assert.equal(await fourth.closed(), 1008);
        await cluster.robot(2, 'robot_02');
        await website.sees(['robot_02']);
        assert.equal(website.count({ device_id: 'robot_04' }), 0);
    });
});

describe('configuration', () => {
    const dir = temporaryDirectory();
    after(() => fs.rmSync(dir, { recursive: true, force: true }));
    const file = (name, text) => {
        const at = path.join(dir, name);
        fs.writeFileSync(at, text);
        return at;
    };
    const run = (name, args, env = {}) => {
        const { status, stdout, stderr } = spawnSync(program(name), args, {
            encoding: 'utf8', timeout: 10000, cwd: dir, env: { ...process.env, ...sanitizerEnv(path.join(dir, name)), ...env },
        });
        return { status, stdout, stderr };
    };

    for (const [name, section, key] of [['telerelay-wsd', 'wsd', 'ping_s'], ['telerelay-api', 'api', 'workers'], ['telerelay-robot', 'robot', 'interval']])
        it(`of ${name}: faults are named, exit codes are right`, () => {
            const good = file('good.conf', `# a comment\n[redis]\naddress = unix:/tmp/redis.sock\n[${section}]\n${key} = 3\n`);
            assert.equal(run(name, ['--check-config', '--config', good]).status, 0);

            const unknown = run(name, ['--check-config', '--config', file('unknown.conf', `[${section}]\n${key} = 3\nspeling = 1\n`)]);
            assert.equal(unknown.status, 1);
            assert.match(unknown.stderr, /unknown\.conf:3: .*speling/);

            const range = run(name, ['--check-config', '--config', file('range.conf', `[${section}]\n\n${key} = -7\n`)]);
            assert.equal(range.status, 1);
            assert.match(range.stderr, new RegExp(`range\\.conf:3: .*${key}.*-7.*from .* to `));

            const strange = run(name, ['--check-config', '--config', file('section.conf', '[nonsense]\na = 1\n')]);
            assert.equal(strange.status, 1);
            assert.match(strange.stderr, /section\.conf:1: .*nonsense/);

            const variable = run(name, ['--check-config'], { [`TELERELAY_${section.toUpperCase()}_${key.toUpperCase()}`]: 'many' });
            assert.equal(variable.status, 1);
            assert.match(variable.stderr, new RegExp(`TELERELAY_${section.toUpperCase()}_${key.toUpperCase()}.*many`));

            const flag = run(name, ['--check-config', `--${key.replace('_', '-')}`, 'x']);
            assert.equal(flag.status, 1);
            assert.match(flag.stderr, new RegExp(`--${key.replace('_', '-')}`));

            // To run with a faulty configuration is bad usage.
            assert.equal(run(name, ['--config', path.join(dir, 'range.conf')]).status, 2);
            assert.equal(run(name, ['--config', path.join(dir, 'absent.conf')]).status, 2);
            assert.equal(run(name, ['--check-config', '--config', path.join(dir, 'absent.conf')]).status, 1);
            assert.equal(run(name, ['--no-such-flag']).status, 2);

            const help = run(name, ['--help']);
            assert.equal(help.status, 0);
            assert.ok(help.stdout.includes(`--${key.replace('_', '-')}`) && help.stdout.includes('--check-config'));
            const version = run(name, ['--version']);
            assert.equal(version.status, 0);
            assert.match(version.stdout, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\\n$`));
        });

    for (const name of ['telerelay-wsd', 'telerelay-api'])
        it(`of ${name}: an address that cannot be had ends it with 1`, () => {
            // libwebsockets leaks a little of its own when it fails to start.
            const { status, stderr } = run(name, ['--listen', 'unix:/nonexistent/x.sock'], { ASAN_OPTIONS: 'detect_leaks=0' });
            assert.equal(status, 1);
            assert.match(stderr, /nonexistent\/x\.sock: No such file/);
        });

    it('no sanitizer spoke', () => {
        assert.deepEqual(fs.readdirSync(dir).filter((name) => /\.(asan|ubsan)\./.test(name)), []);
    });
});

describe('SIGHUP', () => {
    let cluster, conf;
    before(async () => {
        const dir = temporaryDirectory();
        conf = path.join(dir, 'telerelay.conf');
        fs.writeFileSync(conf, '[wsd]\nwebsite_rate = 0\n');
        cluster = await Cluster.start({ relays: 1, flags: ['--config', conf] });
    });
    after(async () => {
        await cluster.stop();
        fs.rmSync(path.dirname(conf), { recursive: true });
    });
    const reload = async (text, event) => {
        fs.writeFileSync(conf, text);
        const from = cluster.relay(1).log().length;
        cluster.relay(1).signal('SIGHUP');
        await until(() => event.test(cluster.relay(1).log().slice(from)), 3000, `${event} in the log`);
    };

    it('changes a limit for those who are connected, keeps them, and refuses a faulty file', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(1, 'robot_01');
        const limited = async (count) => {
            const from = website.history.length;
            for (let n = 0; n < count; n++) website.send({ type: 'set_speed', value: 5, device_id: 'nobody' });
            await website.seen(() => website.history.length - from >= count, 3000, 0);
            return website.count({ code: 'rate_limited' }, from);
        };
        assert.equal(await limited(60), 0);
        await reload('[wsd]\nwebsite_rate = 10\nwebsite_burst = 20\n', /event=reload/);
        assert.ok(await limited(60) >= 30);
        await reload('[wsd]\nwebsite_rate = lots\n', /lots|level=(warn|error)/);
        assert.ok(await limited(20) > 0, 'the old value stays');
        await reload('[wsd]\nwebsite_rate = 0\n', /event=reload/);
        assert.equal(await limited(60), 0);
        assert.ok(website.open && robot.open);
    });
});
