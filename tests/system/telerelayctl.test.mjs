// telerelayctl, run as people run it, with both databases.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { program, temporaryDirectory, within } from './lib/harness.mjs';
import { Postgres } from './lib/postgres.mjs';

let dir, postgres;

before(async () => {
    dir = temporaryDirectory();
    postgres = await Postgres.start();
});
after(async () => {
    await postgres?.remove();
    fs.rmSync(dir, { recursive: true, force: true });
});

function ctl(args, env = {}) {
    const child = spawn(program('telerelayctl'), args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TELERELAY_CONFIG: '', ...env } });
    const said = { out: '', err: '' };
    child.stdout.on('data', (data) => (said.out += data));
    child.stderr.on('data', (data) => (said.err += data));
    return within(new Promise((resolve) => child.on('close', (status) => resolve({ status, ...said }))), 20000, `telerelayctl ${args.join(' ')}`);
}

for (const kind of ['SQLite', 'PostgreSQL']) {
    test(`${kind}: migrate, again, status`, async () => {
        const uri = kind === 'SQLite' ? `sqlite:${dir}/archive.db` : postgres.uri;
        assert.deepEqual(await ctl(['archive', 'status', '--archive-database', uri]), {
            status: 1, out: 'version              0\n',
            err: 'archive: there is no archive yet: telerelayctl archive migrate makes it\n',
        });
        assert.deepEqual(await ctl(['archive', 'migrate', '--archive-database', uri]), { status: 0, out: 'archive: version 0 → 1\n', err: '' });
        assert.deepEqual(await ctl(['--archive-database', uri, 'archive', 'migrate']), { status: 0, out: 'archive: version 1, up to date\n', err: '' });
        const { status, out, err } = await ctl(['archive', 'status'], { TELERELAY_ARCHIVE_DATABASE: uri });
        assert.equal(err, '');
        assert.equal(status, 0);
        for (const line of [/^version +1, up to date$/m, /^size +\d+\.\d MB$/m, /^devices +0$/m, /^samples +0$/m, /^events +0$/m, /^hours +0$/m, /^gaps +0$/m])
            assert.match(out, line);
    });
}

test('status says what is there, and what is not', async () => {
    const database = `${dir}/full.db`;
    await ctl(['archive', 'migrate', `--archive-database=sqlite:${database}`]);
    const config = path.join(dir, 'telerelay.conf');
    fs.writeFileSync(config, `[archive]\ndatabase = ${postgres.uri}\n`);
    await postgres.query(`INSERT INTO devices (id, device_id) VALUES (1, 'r1');
        INSERT INTO shapes (id, names) VALUES (1, 'a');
        INSERT INTO samples (device, ms, seq, shape, v) VALUES (1, 1768473045123, 0, 1, '1'), (1, 1768473046000, 0, 1, '2');
        INSERT INTO positions (kind, device, ms, seq) VALUES (0, 1, 1768473046000, 0);
        INSERT INTO gaps (kind, device, after_ms, after_seq, before_ms, before_seq, noticed_ms)
        VALUES (0, 1, 5, 1, 1768473045123, 0, 1768473050000), (3, 0, 1, 0, 2, 0, 1768473050000);`);
    const { status, out, err } = await ctl(['archive', 'status', '--config', config]);
    assert.equal(err, '');
    assert.equal(status, 0);
    assert.match(out, /^devices +1$/m);
    assert.match(out, /^samples +\d+ {2}of 1 stream, archived up to 2026-01-15T10:30:46\.000Z$/m);
    assert.match(out, /^oldest sample 2026-01-15T10:30:45\.123Z, newest 2026-01-15T10:30:46\.000Z$/m);
    assert.match(out, /^gaps +2\n {2}events between 1-0 and 2-0, noticed .*\n {2}samples of r1 between 5-1 and 1768473045123-0, noticed 2026-01-15T10:30:50\.000Z$/m);
    await postgres.query('DELETE FROM gaps; DELETE FROM positions; DELETE FROM samples; DELETE FROM shapes; DELETE FROM devices WHERE id > 0');
});

test('name servers that do not answer are not waited for', async (t) => {
    const own = process.getuid() === 0 ? [] : ['--map-root-user'];
    if (spawnSync('unshare', ['-m', '-n', ...own, 'true']).status !== 0) return t.skip('may not have namespaces');
    // A network where nothing answers: the name server's address has an interface, and nobody is behind it.
    const silent = `set -e
        ip link set lo up; ip link add veth0 type veth peer name veth1
        ip addr add 192.0.2.1/24 dev veth0; ip link set veth0 up; ip link set veth1 up
        ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev veth0
        echo nameserver 192.0.2.2 >${dir}/resolv.conf; echo hosts: dns >${dir}/nsswitch.conf
        mount --bind ${dir}/resolv.conf /etc/resolv.conf; mount --bind ${dir}/nsswitch.conf /etc/nsswitch.conf
        exec "$@"`;
    const { RES_OPTIONS, ...env } = process.env;
    const begun = performance.now();
    const { status, stderr } = spawnSync('unshare', ['-m', '-n', ...own, 'sh', '-c', silent, 'sh', program('telerelayctl'), 'archive', 'status'],
        { env: { ...env, TELERELAY_CONFIG: '', TELERELAY_ARCHIVE_DATABASE: 'postgresql://db.example.com/x' }, encoding: 'utf8', timeout: 60000 });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^archive: PostgreSQL: could not translate host name "db.example.com"/);
    const took = performance.now() - begun;
    assert.ok(took > 900 && took < 4000, `${took} ms`); // waited, and not for as long as the resolver would
});

test('what cannot be done is said', async () => {
    for (const [args, expected, code] of [
        [['archive', 'status', '--archive-database', `sqlite:${dir}/nowhere/a.db`], /nowhere: No such file or directory/, 1],
        [['archive', 'migrate', '--archive-database', `sqlite:${dir}/nowhere/a.db`], /nowhere: No such file or directory/, 1],
        [['archive', 'migrate', '--archive-database', 'postgresql://x:geheim@/x?host=/nowhere'], /PostgreSQL: .*\/nowhere\/.*No such file/, 1],
        [['archive', 'migrate', '--archive-database', 'postgresql://x:ge@heim@localhost/x'], /percent-encoded/, 1],
        [['archive', 'migrate', '--archive-database', 'mysql:geheim'], /database = \(hidden\): must be sqlite/, 2],
        [['archive', 'migrate'], /\[archive\] database is empty/, 2],
        [['archive'], /unknown command: archive; there are archive migrate and archive status/, 2],
        [['user', 'add'], /unknown command: user add;/, 2],
        [['archive', 'migrate', 'now'], /unknown command: archive migrate …;/, 2],
        [[], /what to do is missing; there are/, 2],
        [['archive', 'migrate', '--archive-databse=x'], /unknown flag: --archive-databse=x/, 2],
        [['archive', 'migrate', '--config', `${dir}/none.conf`], /none.conf: No such file/, 2],
    ]) {
        const { status, out, err } = await ctl(args);
        assert.match(err, expected, args.join(' '));
        assert.equal(status, code, err);
        assert.equal(out, '');
        assert.doesNotMatch(err, /geheim|heim@/);
        assert.equal(err.split('\n').length, 2, err);
    }
});

test('help, version, check of the configuration', async () => {
    const help = await ctl(['archive', '--help']);
    assert.equal(help.status, 0);
    assert.match(help.out, /^Usage: telerelayctl archive migrate\|status/);
    assert.match((await ctl(['--version'])).out, /^telerelayctl \d+\.\d+\.\d+\n$/);
    assert.deepEqual(await ctl(['--check-config']), { status: 0, out: 'telerelayctl: configuration ok\n', err: '' });
    const bad = path.join(dir, 'bad.conf');
    fs.writeFileSync(bad, '[archive]\nbatch = 1\n');
    const check = await ctl(['--check-config', '--config', bad]);
    assert.equal(check.status, 1);
    assert.match(check.err, /bad.conf:2: \[archive\] batch = 1/);
});
