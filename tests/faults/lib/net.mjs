// A network of the test's own, made of namespaces: websites (this process), nginx and robots, with a router
// between them that loses, cuts and throttles. Nothing of it has a name that could stay behind: each namespace
// lives as long as a process that reads this one's pipe.
import { execFileSync, spawn } from 'node:child_process';
import { within } from '../../system/lib/wait.mjs';

const SIDES = ['website', 'nginx', 'robot'];

const inside = (pid, command) => ['nsenter', `--net=/proc/${pid}/ns/net`, ...command];
const run = ([program, ...args], input) => execFileSync(program, args, { input, stdio: ['pipe', 'pipe', 'pipe'], timeout: 5000 });

class Namespace {
    static async create() {
        const space = new Namespace();
        space.holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'pipe'] });
        space.holder.on('error', () => {});
        space.holder.stdin.on('error', () => {});
        const ready = new Promise((resolve, reject) => {
            space.holder.stdout.once('data', resolve);
            space.holder.stderr.once('data', (text) => reject(new Error(String(text).trim())));
            space.holder.once('error', reject);
        });
        space.holder.stdin.write('ready\n');
        await within(ready, 5000, 'a network namespace');
        space.run('ip', 'link', 'set', 'lo', 'up');
        return space;
    }

    command(...command) {
        return inside(this.holder.pid, command);
    }

    run(...command) {
        return run(this.command(...command));
    }

    async close() {
        const ended = new Promise((resolve) => this.holder.once('exit', resolve));
        this.holder.stdin.end();
        await within(ended, 3000, 'the end of a network namespace');
    }
}

export class Network {
    #router;
    #spaces = {}; // side → Namespace; the website's side is this process' own

    // Why there can be no such network here; null when there can.
    static async impossible() {
        if (process.getuid() !== 0) return 'network namespaces need root';
        try {
            const network = await Network.create();
            await network.close();
            return null;
        } catch (error) {
            return `no network namespaces here: ${String(error.stderr ?? error.message).trim()}`;
        }
    }

    static async create() {
        const network = new Network();
        try {
            network.#router = await Namespace.create();
            for (const side of ['nginx', 'robot']) network.#spaces[side] = await Namespace.create();
            network.#choose();
            for (const side of SIDES) network.#link(side);
            network.#router.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
            // The same TCP everywhere, whatever this machine prefers: some need seconds to see that a link has become quick.
            for (const side of ['nginx', 'robot']) network.#spaces[side].run('sh', '-c', 'echo reno >/proc/sys/net/ipv4/tcp_congestion_control');
            network.heal();
        } catch (error) {
            await network.close();
            throw error;
        }
        return network;
    }

    // Of the addresses for tests of networks (198.18.0.0/15) some that nobody here uses.
    #choose() {
        const used = String(run(['ip', '-4', 'route']));
        const free = Array.from({ length: 256 }, (_, n) => (n + process.pid) % 256).filter((n) => !used.includes(`198.18.${n}.`));
        this.subnet = `198.18.${free[0]}`;
        this.address = `${this.subnet}.6`; // nginx'
    }

    #link(side) {
        const space = this.#spaces[side];
        const [router, host] = [1, 2].map((n) => `${this.subnet}.${4 * SIDES.indexOf(side) + n}`);
        run(['ip', 'link', 'add', this.#device(side), ...(space ? ['netns', String(space.holder.pid)] : []), 'type', 'veth',
            'peer', 'name', side, 'netns', String(this.#router.holder.pid)]);
        const at = (...command) => this.#at(side, ...command);
        const atRouter = (...command) => this.#router.run(...command);
        for (const [on, device, address] of [[at, this.#device(side), host], [atRouter, side, router]]) {
            on('ip', 'addr', 'add', `${address}/30`, 'dev', device);
            // One packet is one packet: none joined for the way, so that loss and rates are what they say.
            on('ip', 'link', 'set', device, 'up', 'gso_max_segs', '1');
        }
        at('ip', 'route', 'add', space ? 'default' : `${this.subnet}.0/24`, 'via', router);
    }

    #device(side) {
        return this.#spaces[side] ? 'uplink' : `tr${process.pid}`;
    }

    #at(side, ...command) {
        return this.#spaces[side] ? this.#spaces[side].run(...command) : run(command);
    }

    // The command, run where nginx ("nginx") or the robots ("robot") are.
    command(side, ...command) {
        return this.#spaces[side].command(...command);
    }

    // rules: of the router's forwarding, one per line.
    #forward(rules) {
        const text = `table inet faults\ndelete table inet faults\ntable inet faults {\n chain forward {\n`
            + `  type filter hook forward priority 0;\n  ${rules.join('\n  ')}\n }\n}\n`;
        run(this.#router.command('nft', '-f', '-'), text);
    }

    // Which packets: to that side, from it, or both.
    #match(side, way) {
        return { to: [`oifname "${side}"`], from: [`iifname "${side}"`], both: [`oifname "${side}"`, `iifname "${side}"`] }[way];
    }

    cut(side, way = 'both') {
        this.#forward(this.#match(side, way).map((match) => `${match} drop`));
    }

    lose(side, percent) {
        this.#forward(this.#match(side, 'both').map((match) => `${match} numgen random mod 100 < ${percent} drop`));
    }

    // kbit/s to or from a side; packets wait for at most 200 ms.
    throttle(side, kbit, way = 'to') {
        this.#rate(side, way, `${kbit}kbit`, '4kb');
    }

    // What waits in the link goes on.
    unthrottle(side, way = 'to') {
        this.#rate(side, way, '1gbit', '1mb');
    }

    #rate(side, way, rate, burst) {
        const tbf = (device) => ['tc', 'qdisc', 'replace', 'dev', device, 'root', 'tbf', 'rate', rate, 'burst', burst, 'latency', '200ms'];
        if (way === 'to') this.#router.run(...tbf(side));
        else this.#at(side, ...tbf(this.#device(side)));
    }

    heal() {
        this.#forward([]);
    }

    async close() {
        try {
            run(['ip', 'link', 'del', this.#device('website')]); // else it goes some time after its namespace
        } catch { /* there was none */ }
        for (const space of [this.#router, ...Object.values(this.#spaces)]) await space?.close();
    }
}
