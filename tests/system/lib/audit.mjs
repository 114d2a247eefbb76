// Commands, what became of them, and events: what was written, and what /api/commands and /api/events have to say about it.
import { COMMANDS, EVENTS, OUTCOMES } from './seam.mjs';

const DEVICES = ['a', 'robot_01'];
const KINDS = ['connected', 'disconnected', 'status', 'stop', 'rearm', 'confirmed', 'control'];

export class AuditTrail {
    #at = Date.now() - 5 * 3600 * 1000;
    #n = 0;
    events = []; // {device: "", about, kind, ms, seq, n}
    commands = []; // {device, ms, seq, n, outcome}

    constructor(world, dice) {
        Object.assign(this, { world, dice });
    }

    // That many commands to each device, and events.
    async write(count) {
        const { dice } = this;
        const entries = [], events = [], commands = [];
        for (let i = 0; i < count; i++) {
            this.#at += 200 + dice.int(dice.pick([100, 3000, 60000]));
            const event = { device: '', about: dice.pick(DEVICES), kind: dice.pick(KINDS), ms: this.#at, seq: dice.int(3), n: ++this.#n };
            events.push(event);
            entries.push({ ...event, kind: EVENTS, text: `"kind":"${event.kind}","device_id":"${event.about}","n":${event.n}` });
            for (const device of DEVICES) {
                const command = { device, ms: this.#at, seq: 0, n: ++this.#n, outcome: dice.pick(['sent', 'applied', 'applied', 'rejected']) };
                commands.push(command);
                entries.push({ ...command, kind: COMMANDS, text: `"seq":${command.n},"by":"guest","relay":"wsd-1","received_ms":${command.ms},"outcome":"sent","command":{"type":"robot_move","x":0.5,"y":0}` });
                if (command.outcome !== 'sent') entries.push({ ...command, kind: OUTCOMES, ms: command.ms + 1 + dice.int(150), text: `"seq":${command.n},"outcome":"${command.outcome}"` });
            }
        }
        await this.world.append(entries);
        this.events.push(...events);
        this.commands.push(...commands);
        for (const device of DEVICES) await this.world.know(device);
    }

    // Redis has lost some: forgets what is nowhere any more.
    async retain() {
        const events = await this.world.stored(EVENTS, ['']);
        const commands = await this.world.stored(COMMANDS, DEVICES);
        this.events = this.events.filter(({ ms, seq }) => events.has(` ${ms}-${seq}`));
        this.commands = this.commands.filter(({ device, ms, seq }) => commands.has(`${device} ${ms}-${seq}`));
        this.unsure = true; // about outcomes
    }

    // A target, and what says why its answer is wrong, or null.
    question(range) {
        const { dice } = this;
        const order = dice.pick(['asc', 'desc']);
        const limit = dice.pick([1, 10, 100, 1000]);
        const devices = DEVICES.filter(() => dice.next() < 0.6);
        const given = { ...range, order, limit };
        const within = ({ ms }) => ms >= (range.from ?? -Infinity) && ms <= (range.to ?? Infinity);
        if (dice.next() < 0.5) {
            const kinds = dice.next() < 0.5 ? KINDS.filter(() => dice.next() < 0.4) : [];
            const all = this.events.filter((e) => within(e) && (!kinds.length || kinds.includes(e.kind)) && (!devices.length || devices.includes(e.about)));
            return [target('/api/events', { ...given, kind: kinds.join() || undefined, device_id: devices.join() || undefined }),
                (json) => differ(json, all, order, limit, (e) => [`${e.ms}-${e.seq}`, e.about, e.kind, e.n].join(), (item) => [item.id, item.device_id, item.kind, item.n].join())];
        }
        if (devices.length === 0) devices.push(DEVICES[0]);
        const all = this.commands.filter((c) => within(c) && devices.includes(c.device));
        return [target('/api/commands', { ...given, device_id: devices.join() }),
            (json) => differ(json, all, order, limit, (c) => [`${c.ms}-${c.seq}`, c.device, c.n, this.unsure ? '' : c.outcome].join(), (item) => [item.id, item.device_id, item.seq, this.unsure ? '' : item.outcome].join())];
    }
}

const target = (path, given) => `${path}?${Object.entries(given).filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${value}`).join('&')}`;

function differ({ items, count, next_cursor: next }, all, order, limit, ofEntry, ofItem) {
    const sorted = [...all].sort((a, b) => a.ms - b.ms || a.seq - b.seq || (a.device < b.device ? -1 : 1));
    if (order === 'desc') sorted.reverse();
    const expected = sorted.slice(0, limit).map(ofEntry);
    const got = items.map(ofItem);
    const at = expected.findIndex((text, i) => text !== got[i]);
    if (at >= 0) return `item ${at} of ${expected.length} is ${got[at]}, not ${expected[at]}`;
    if (got.length !== expected.length || count !== got.length) return `${got.length} items, not ${expected.length}: ${got[expected.length]}`;
    return (next === null) === (all.length <= limit) ? null : `next_cursor is ${next} at ${limit} of ${all.length}`;
}
