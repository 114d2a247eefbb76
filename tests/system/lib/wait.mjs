// Waiting for events with a deadline: the tests never sleep for a guess.

export class Deadline extends Error {}

// Resolves as `promise` does, or rejects with what was waited for.
export async function within(promise, ms, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Deadline(`not within ${ms} ms: ${what}`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

// Asks `probe` again until it gives something true; its exceptions count as "not yet".
export async function until(probe, ms, what, every = 5) {
    const end = performance.now() + ms;
    let last;
    for (;;) {
        try {
            const value = await probe();
            if (value) return value;
            last = undefined;
        } catch (error) {
            last = error;
        }
        if (performance.now() > end) throw new Deadline(`not within ${ms} ms: ${what}${last ? ` (${last.message})` : ''}`);
        await pause(every);
    }
}

// For load that has a pace (a stick held at 20 Hz), and for a fault that has a length; never to wait for an event.
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A small seeded generator (mulberry32): the same seed gives the same test.
export function random(seed) {
    let state = seed >>> 0;
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const int = (n) => Math.floor(next() * n);
    return { next, int, pick: (list) => list[int(list.length)], bytes: (n) => Buffer.from(Array.from({ length: n }, () => int(256))) };
}
