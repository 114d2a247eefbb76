// Samples as robots might send them: slow walks, missing and further metrics, numbers written in every way.

export const SHAPES = [
    ['battery', 'cpu', 'temperature', 'signal'],
    ['battery'],
    ['cpu', 'battery', 'temperature'],
    ['battery', 'cpu', 'temperature', 'signal', 'volt', 'amp'],
    ['odd', 'battery'],
    [],
];
const ODD = ['1e-7', '-0', '0.10', '1E5', '123456789012345678901234567890', '-17.25', '0e0', '2.5e+3'];

export class Writer {
    #walks = new Map(); // device → {ms, seq, values}

    // Each device's samples begin `age` ms ago.
    constructor(dice, devices, { age = 5 * 3600 * 1000 } = {}) {
        this.dice = dice;
        const begin = Date.now() - age;
        devices.forEach((device, i) => this.#walks.set(device, { ms: begin + i * 7, seq: 0, values: { battery: 80, cpu: 30, temperature: 41, signal: 70, volt: 12, amp: 0 } }));
    }

    // The next `count` entries of a device: {device, ms, seq, text}
    burst(device, count) {
        const { dice } = this;
        const walk = this.#walks.get(device);
        const pace = dice.pick([3000, 3000, 100, 1, 60000]);
        const shape = dice.next() < 0.6 ? SHAPES[0] : undefined;
        return Array.from({ length: Math.max(1, Math.min(count, Math.floor(7200000 / pace))) }, () => {
            if (dice.next() < 0.05) walk.seq++;
            else {
                walk.ms += 1 + dice.int(pace);
                walk.seq = dice.next() < 0.02 ? 3 : 0;
            }
            return { device, ms: walk.ms, seq: walk.seq, text: this.#text(walk.values, shape ?? dice.pick(SHAPES)) };
        });
    }

    #text(values, shape) {
        return shape.map((name) => `"${name}":${name === 'odd' ? this.dice.pick(ODD) : this.#next(values, name)}`).join(',');
    }

    #next(values, name) {
        const step = this.dice.next() * 4 - 2;
        values[name] = Math.max(name === 'amp' ? -5 : 5, Math.min(95, values[name] + step));
        return name === 'battery' || name === 'cpu' ? String(Math.round(values[name])) : values[name].toFixed(1);
    }
}
