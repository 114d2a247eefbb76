// Goal: whatever ends the stream of commands, a part that dies, hangs or refuses, a website that goes or falls silent,
// a wire that stalls or tears, the robot's drive is at zero at most 350 ms after the last command it did. A robot whose
// main loop hangs is at rest within 200 ms. None ever does an old command, or one twice, or out of order.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { LONG, Rig, atRest, grip, often, pause, until } from './lib/rig.mjs';

describe('at rest in time', () => {
    let rig;
    before(async () => { rig = await Rig.start({ robots: often(3, 8), wires: true }); });
    after(async () => {
        rig.figures.print('From the last command done to the drive at zero');
        await rig.stop();
    });

    const redis = async (...words) => (await rig.cluster.redis()).call(...words);
    const relays = (act) => Promise.all(rig.relays.map(act));
    const robots = (act) => Promise.all(rig.robots.map(act));

    const crash = async (n) => {
        const proc = rig.cluster.relay(n);
        rig.cluster.forget(proc);
        proc.signal('SIGSEGV');
        await proc.exited;
        // What a sanitizer has to say of this signal is no finding.
        fs.writeFileSync(proc.logPath, proc.log().replace(/^.*Sanitizer.*$/gm, ''));
        for (const name of fs.readdirSync(path.join(rig.dir, 'san')).filter((file) => file.endsWith(`.${proc.pid}`)))
            fs.rmSync(path.join(rig.dir, 'san', name));
    };

    const cuts = {
        'Redis killed': { break: () => rig.cluster.killRedis(), mend: () => rig.cluster.startRedis() },
        'Redis stopped': { break: () => rig.cluster.redisProc.signal('SIGSTOP'), mend: () => rig.cluster.redisProc.signal('SIGCONT') },
        'Redis paused for writing': { break: () => redis('CLIENT', 'PAUSE', '5000', 'WRITE'), mend: () => redis('CLIENT', 'UNPAUSE') },
        'Redis refuses (ACL)': { break: () => redis('ACL', 'SETUSER', 'default', '-evalsha', '-publish'), mend: () => redis('ACL', 'SETUSER', 'default', '+@all') },
        'Redis refuses writes (full)': { break: () => rig.fill(), mend: () => rig.unfill() },
        'relays killed': { break: () => relays((n) => rig.cluster.killRelay(n)), mend: () => relays((n) => rig.cluster.startRelay(n)) },
        'relays stopped': { break: () => relays((n) => rig.cluster.relay(n).signal('SIGSTOP')), mend: () => relays((n) => rig.cluster.relay(n).signal('SIGCONT')) },
        'relays crash (SIGSEGV)': { break: () => relays(crash), mend: () => relays((n) => rig.cluster.startRelay(n)) },
        'nginx killed': { break: () => rig.killNginx(), mend: () => rig.startNginx() },
        'website closed': { break: () => robots(({ stick }) => stick.drop()) },
        'website silent': { break: () => robots(({ stick }) => stick.freeze()) },
        'wire to the robot stalls': { break: () => robots(({ wire }) => wire.hold('to')), mend: () => robots(({ wire }) => wire.release()) },
        'wire from the robot stalls': { break: () => robots(({ wire }) => wire.hold('from')), mend: () => robots(({ wire }) => wire.release()) },
        'wire of the robot stalls both ways': { long: true, break: () => robots(({ wire }) => wire.hold()), mend: () => robots(({ wire }) => wire.release()) },
        'wire of the robot torn': { brief: true, break: () => robots(({ wire }) => wire.reset()) },
        'wire from the website stalls': { break: () => rig.websiteWire.hold('from'), mend: () => rig.websiteWire.release() },
        'wire to the website stalls': { break: () => rig.websiteWire.hold('to'), mend: () => rig.websiteWire.release() },
        'wire of the website stalls both ways': { long: true, break: () => rig.websiteWire.hold(), mend: () => rig.websiteWire.release() },
        'wire of the website torn': { break: () => rig.websiteWire.reset() },
    };

    for (const [kind, fault] of Object.entries(cuts).filter(([, { long }]) => LONG || !long))
        it(kind, async () => {
            for (let round = 0; round < often(1, 6); round++) await rig.cut(kind, fault);
            assert.ok(Math.max(...rig.figures.of(kind)) <= 350, `${kind}: ${rig.figures.of(kind)}`);
        });

    const wires = (act) => [rig.websiteWire, ...rig.robots.map(({ wire }) => wire)].forEach(act);

    // Stalls of 50 to 1,000 ms, each followed by all that waited at once.
    async function gusts(stop) {
        await Promise.all([rig.websiteWire, ...rig.robots.map(({ wire }) => wire)].map(async (wire) => {
            while (!stop()) {
                await pause(100 + rig.dice.int(500));
                wire.hold(...rig.dice.pick([['to'], ['from'], ['to', 'from']]));
                await pause(50 + rig.dice.int(950));
                wire.release();
            }
        }));
    }

    it('a delay of 200 ms ± 100 ms there and back', async () => {
        const seen = await rig.weather('delay 200 ± 100 ms', often(1.2, 20), {
            break: () => wires((wire) => wire.delay(50, 25)), mend: () => wires((wire) => wire.delay(0, 0)),
        });
        for (const { sent, done } of seen) assert.ok(done > sent / 2, `${done} of ${sent} commands were done`);
    });

    if (LONG)
        it('a delay of 200 ms ± 100 ms one way', async () => {
            const seen = await rig.weather('delay 200 ± 100 ms one way', 20, {
                break: () => wires((wire) => wire.delay(100, 50)), mend: () => wires((wire) => wire.delay(0, 0)),
            });
            for (const { sent, done } of seen) assert.ok(done > sent / 2, `${done} of ${sent} commands were done`);
        });

    it('stalls and bursts', async () => {
        let calm = false;
        let gone;
        await rig.weather('stalls and bursts', often(2, 30), {
            break: () => { gone = gusts(() => calm); },
            mend: () => { calm = true; return gone; },
        });
    });

    it('nginx reloaded: nothing stops that has a way left, and what is cut rests in time', async () => {
        // Old workers serve who is connected for so long.
        const ms = 1000 * /worker_shutdown_timeout (\d+)s;/.exec(fs.readFileSync(path.join(rig.nginxDir, 'nginx.conf'), 'utf8'))[1];
        const seen = await rig.weather('nginx reloaded', ms / 1000 + often(0.5, 3), { break: () => rig.nginx.signal('SIGHUP'), mend: () => {} });
        for (const { sent, done, rested } of seen) {
            assert.ok(done > sent / 2, `${done} of ${sent} commands were done`);
            assert.deepEqual(rested.filter((at) => at < ms), []);
        }
    });

    it('the main loop of the robot hangs: 200 ms', async (t) => {
        for (const robot of Array.from({ length: often(1, 6) }, () => rig.robots).flat()) {
            const main = await grip(robot.proc).catch((error) => t.skip(`no way to stop one thread here: ${error.message}`));
            if (!main) return;
            try {
                await rig.driven();
                const at = await main.hang();
                const drive = () => robot.trace.drive();
                if (atRest(drive().findLast((line) => line.t_ns <= at))) continue; // it had just come to rest: nothing to see
                const rest = await until(() => drive().find((line) => line.t_ns > at && atRest(line)), 1000, 'rest');
                rig.figures.add('main loop hung (from the hang)', (rest.t_ns - at) / 1e6);
            } finally {
                await main.free();
            }
        }
        const took = rig.figures.of('main loop hung (from the hang)');
        assert.ok(took.length >= rig.robots.length / 2, `${took.length} hangs were seen`);
        assert.ok(Math.max(...took) <= 200, `${took}`);
    });

    it('in all this no robot did an old command, nor one twice or out of order', () => rig.verify());
});
