// What was stored, in memory, and what the api has to answer about it: naive on purpose.

const iso = (ms) => new Date(ms).toISOString();

// Entries are {ms, seq, text}; order of two of them, each with its device.
export function compare(a, b) {
    return a.ms - b.ms || a.seq - b.seq || (a.device < b.device ? -1 : a.device > b.device ? 1 : 0);
}

// [[name, number as text], …] of a stored text.
export const pairs = (text) => [...text.matchAll(/"(\w+)":([^,]+)/g)].map(([, name, number]) => [name, number]);

export class Series {
    #devices = new Map(); // id → entries, ascending

    add(device, { ms, seq, text }) {
        if (!this.#devices.has(device)) this.#devices.set(device, []);
        this.#devices.get(device).push({ device, ms, seq, text });
    }

    // Forgets those that `keep` refuses.
    retain(device, keep) {
        this.#devices.set(device, this.entries(device).filter(keep));
    }

    get devices() {
        return [...this.#devices.keys()];
    }

    entries(device) {
        return this.#devices.get(device) ?? [];
    }

    get size() {
        return this.devices.reduce((sum, device) => sum + this.entries(device).length, 0);
    }

    // Entries of `devices` from..to (ms, inclusive), behind `after`, in the walk's order.
    select({ devices, from = -Infinity, to = Infinity, order = 'desc', after = null, limit = Infinity }) {
        const sign = order === 'asc' ? 1 : -1;
        const all = [];
        for (const device of new Set(devices)) {
            const entries = this.entries(device);
            let taken = 0;
            for (let i = order === 'asc' ? 0 : entries.length - 1; i >= 0 && i < entries.length && taken < limit; i += sign) {
                const entry = entries[i];
                if (entry.ms < from || entry.ms > to || (after && sign * compare(entry, after) <= 0)) continue;
                all.push(entry);
                taken++;
            }
        }
        all.sort((a, b) => sign * compare(a, b));
        return all.slice(0, limit);
    }

    // {device, ms, metrics: {name: {min, max, sum, last, count}}} of each step that has a sample, in the walk's order.
    steps({ devices, from = -Infinity, to = Infinity, order = 'desc', step }) {
        const buckets = new Map();
        for (const { device, ms, text } of this.select({ devices, from, to, order: 'asc' })) {
            const at = Math.floor(ms / step) * step;
            const key = `${at} ${device}`;
            if (!buckets.has(key)) buckets.set(key, { device, ms: at, seq: 0, metrics: {} });
            const { metrics } = buckets.get(key);
            for (const [name, number] of pairs(text)) {
                const value = Number(number);
                const m = (metrics[name] ??= { min: Infinity, max: -Infinity, sum: 0, size: 0, count: 0 });
                m.min = Math.min(m.min, value);
                m.max = Math.max(m.max, value);
                m.sum += value;
                m.size += Math.abs(value);
                m.last = value;
                m.count++;
            }
        }
        const sign = order === 'asc' ? 1 : -1;
        return [...buckets.values()].sort((a, b) => sign * compare(a, b));
    }
}

// The item that the api makes of an entry, byte by byte.
export function itemText({ device, ms, seq, text }, fields) {
    const metrics = fields ? fields.flatMap((field) => pairs(text).filter(([name]) => name === field)).map(([name, number]) => `"${name}":${number}`).join(',') : text;
    return `{"id":"${ms}-${seq}","device_id":"${device}","timestamp":"${iso(ms)}"${metrics && ','}${metrics}}`;
}

// A reason why the answer in that format is not exactly these entries, or null.
export function differs(format, answer, entries, { fields, devices = [] } = {}) {
    const check = { json: jsonDiffers, ndjson: ndjsonDiffers, csv: csvDiffers, columns: columnsDiffer }[format];
    return check(answer, entries, fields, [...new Set(devices)].sort());
}

function textsDiffer(got, expected) {
    const at = expected.findIndex((text, i) => text !== got[i]);
    if (at >= 0) return `entry ${at} of ${expected.length} is\n  ${got[at]}\nnot\n  ${expected[at]}\n(${got.length} came; the one before: ${got[at - 1]})`;
    return got.length > expected.length ? `${got.length - expected.length} too many: ${got[expected.length]}` : null;
}

function jsonDiffers({ text }, entries, fields) {
    const found = /^\{"items":\[(.*)\],"count":(\d+),"next_cursor":(null|"[\w-]+")\}$/s.exec(text);
    if (!found) return `no page: ${text.slice(0, 200)} … ${text.slice(-100)}`;
    const expected = entries.map((entry) => itemText(entry, fields));
    if (found[1] === expected.join(',')) return Number(found[2]) === entries.length ? null : `count is ${found[2]} of ${entries.length}`;
    return textsDiffer(found[1] ? found[1].split(/,(?=\{)/) : [], expected) ?? 'it differs';
}

function ndjsonDiffers({ text }, entries, fields) {
    if (text && !text.endsWith('\n')) return `cut short: ${text.slice(-100)}`;
    return textsDiffer(text.split('\n').slice(0, -1), entries.map((entry) => itemText(entry, fields)));
}

function csvDiffers({ text }, entries, fields) {
    const lines = text.split('\r\n');
    if (lines.pop() !== '') return `cut short: ${text.slice(-100)}`;
    const [timestamp, deviceId, ...columns] = lines.shift().split(',');
    if (timestamp !== 'timestamp' || deviceId !== 'device_id') return `header ${timestamp},${deviceId}`;
    if (fields && columns.join() !== fields.join()) return `columns ${columns}, not ${fields}`;
    const expected = entries.map((entry) => {
        const metrics = new Map(pairs(entry.text));
        if (!fields) for (const name of metrics.keys()) if (!columns.includes(name)) metrics.set(name, `no column ${name}`);
        return [iso(entry.ms), entry.device, ...columns.map((name) => metrics.get(name) ?? '')].join(',');
    });
    if (!fields)
        for (const entry of entries) for (const [name] of pairs(entry.text)) if (!columns.includes(name)) return `no column ${name}`;
    return textsDiffer(lines, expected);
}

// Rows of a table: entries of several devices at the same time share one; a further one of the same device in the same
// µs is a µs later.
function rowsOf(entries) {
    const rows = []; // {us, cells: Map of device → entry}
    for (const entry of [...entries].sort(compare)) {
        const us = entry.ms * 1000 + Math.min(entry.seq, 999);
        const last = rows.at(-1);
        if (!last || us > last.us) rows.push({ us, cells: new Map([[entry.device, entry]]) });
        else if (!last.cells.has(entry.device)) last.cells.set(entry.device, entry);
        else rows.push({ us: last.us + 1, cells: new Map([[entry.device, entry]]) });
    }
    return rows;
}

function columnsDiffer({ json }, entries, fields, devices) {
    const rows = rowsOf(entries);
    const name = (device, metric) => (devices.length > 1 ? `${device}.${metric}` : metric);
    if (json.fields[0] !== 'timestamp') return `fields ${json.fields}`;
    if (json.units.length !== json.fields.length || json.data.length !== json.fields.length) return 'lengths differ';
    if (json.count !== rows.length || json.data.some((column) => column.length !== rows.length)) return `${json.count} rows (${json.data.map((column) => column.length)}) of ${rows.length}`;
    const wanted = fields && devices.flatMap((device) => fields.map((field) => name(device, field)));
    if (wanted && json.fields.slice(1).join() !== wanted.join()) return `columns ${json.fields}, not ${wanted}`;
    const at = new Map(json.fields.map((field, i) => [field, i]));
    for (const [i, { us, cells }] of rows.entries()) {
        if (json.data[0][i] !== us / 1e6) return `row ${i} is at ${json.data[0][i]}, not ${us / 1e6}`;
        const values = new Map();
        for (const [device, entry] of cells) for (const [metric, number] of pairs(entry.text)) if (!fields || fields.includes(metric)) values.set(name(device, metric), Number(number));
        for (const field of values.keys()) if (!at.has(field)) return `no column ${field}`;
        for (const [field, column] of at) {
            const value = field === 'timestamp' ? us / 1e6 : (values.get(field) ?? null);
            if (json.data[column][i] !== value) return `row ${i} of ${rows.length}, ${field}: ${json.data[column][i]}, not ${value}`;
        }
    }
    return null;
}

const near = (a, b, scale) => Math.abs(a - b) <= 1e-9 * Math.max(scale, 1e-300);

// A reason why {device_id, timestamp, …} items are not these steps, or null.
export function stepsDiffer(items, steps, aggs, fields) {
    for (const [i, { device, ms, metrics }] of steps.entries()) {
        const got = items[i];
        const where = `step ${i} of ${steps.length}: ${JSON.stringify(got)?.slice(0, 300)}`;
        if (!got || got.device_id !== device || got.timestamp !== iso(ms)) return `${where}: expected ${device} ${iso(ms)}`;
        const wanted = new Map();
        for (const [name, m] of Object.entries(metrics).filter(([name]) => !fields || fields.includes(name)))
            for (const agg of aggs) wanted.set(aggs.length > 1 ? `${name}_${agg}` : name, { ...m, agg });
        const { device_id, timestamp, ...members } = got;
        for (const [name, value] of Object.entries(members)) {
            const m = wanted.get(name);
            if (!m) return `${where}: ${name} should not be there`;
            wanted.delete(name);
            const expected = m.agg === 'avg' ? m.sum / m.count : m[m.agg];
            if (m.agg === 'avg' ? !near(value, expected, m.size / m.count) : value !== expected) return `${where}: ${name} is ${value}, not ${expected}`;
        }
        if (wanted.size > 0) return `${where}: ${[...wanted.keys()]} is missing`;
    }
    return items.length > steps.length ? `${items.length - steps.length} steps too many: ${JSON.stringify(items[steps.length])}` : null;
}
