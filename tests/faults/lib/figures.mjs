// What was measured: kept by kind, printed as lines that tests/run shows also when all is well. In the short form only the
// sum of all kinds.
export class Figures {
    #kinds = new Map();

    add(kind, ms) {
        if (!this.#kinds.has(kind)) this.#kinds.set(kind, []);
        this.#kinds.get(kind).push(ms);
    }

    of(kind) {
        return this.#kinds.get(kind) ?? [];
    }

    get all() {
        return [...this.#kinds.values()].flat();
    }

    print(title) {
        const line = (name, list) => `${name.padEnd(62)} ${String(list.length).padStart(5)} ×  p50 ${ms(quantile(list, 0.5))}  p99 ${ms(quantile(list, 0.99))}  max ${ms(Math.max(...list))}`;
        if (this.#kinds.size === 0) return;
        say(line(`${title}, ms`, this.all));
        for (const [kind, list] of this.#kinds) detail(line(`  ${kind}`, list));
    }
}

export const say = (text) => console.log(`figure: ${text}`);

// Only in the long form.
export const detail = (text) => console.log(process.env.FAULTS_LONG === '1' ? `figure: ${text}` : text);

const ms = (value) => value.toFixed(1).padStart(7);

function quantile(list, q) {
    const sorted = [...list].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
}
