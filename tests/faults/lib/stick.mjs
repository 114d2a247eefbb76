// A hand at the stick of one robot: moves at 20 Hz, each of a value of its own, so that the robot's trace says which
// of them it did and when. Answers the robot's heartbeats as the page does.
export class Stick {
    sent = new Map(); // value → {n, at}: when it was sent, ns
    fate = new Map(); // command id → what became of it: an ack's status with its reason, or an error's code
    answered = new Map(); // command id → when that was known, ns
    #n = 0;
    hb; // the newest heartbeat that came
    #timer;

    constructor(id, { hb = true, hz = 20, ids = false } = {}) {
        Object.assign(this, { id, useHb: hb, hz, ids });
    }

    // Drives through this website from now on.
    take(website) {
        this.drop();
        this.website = website;
        website.ws.on('message', (data) => {
            const message = JSON.parse(data);
            if (message.type === 'robot_heartbeat' && message.device_id === this.id) {
                this.hb = message.hb;
                this.heardAt = performance.now();
            } else if (message.id?.startsWith(`${this.id}-`) && message.status !== 'received') this.#settle(message);
        });
    }

    #settle({ id, type, status, reason, code }) {
        this.fate.set(id, type === 'error' ? code : [status, reason].filter(Boolean).join(' '));
        this.answered.set(id, Number(process.hrtime.bigint()));
    }

    get usable() {
        return this.website?.open ?? false;
    }

    hold() {
        if (!this.#timer) this.#timer = setInterval(() => this.push(), 1000 / this.hz);
    }

    // Falls silent: no zero, nothing.
    freeze() {
        clearInterval(this.#timer);
        this.#timer = undefined;
    }

    push() {
        if (!this.usable) return;
        const n = this.#n++;
        const y = Number((0.1 + (n % 80000) / 1e5).toFixed(5)); // never the same twice within an hour
        const move = { type: 'robot_move', x: 0, y, device_id: this.id };
        if (this.ids) move.id = `${this.id}-${n}`;
        if (this.useHb && this.hb !== undefined) move.hb = this.hb;
        this.sent.set(y, { n, at: Number(process.hrtime.bigint()) });
        this.website.send(move);
    }

    idsBetween(from, to) {
        return [...this.sent.values()].filter(({ at }) => at > from && at <= to).map(({ n }) => `${this.id}-${n}`);
    }

    sentBetween(from, to) {
        return this.idsBetween(from, to).length;
    }

    // Its website's socket ends, without a zero.
    drop() {
        this.website?.drop();
        this.website = undefined;
    }
}
