// The measurements: one object each, shown as a table and written as JSON lines.

import os from 'node:os';

const cpu = `${os.cpus()[0].model.trim()} × ${os.cpus().length}`;

const shown = (value) => {
  if (value === null || value === undefined) return '–';
  if (typeof value !== 'number') return String(value);
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(Number.isInteger(value) ? 0 : digits);
};

export class Report {
  #all = [];

  // name, value, unit; ratio: to the reference; against: what that is; goal: text; ok: true, false, or null where
  // there is no goal
  add({ name, value, unit, reference = null, ratio = null, against = null, goal = null, ok = null, details = {} }) {
    this.#all.push({ name, value, unit, goal, ok, ratio, reference, against, details, date: new Date().toISOString(), cpu });
  }

  // A figure that may be `factor` times the reference's at most, or must be at least.
  compare({ name, unit, value, reference, referenceName, most, least, details }) {
    const ratio = reference > 0 ? Math.round((value / reference) * 1000) / 1000 : null;
    const limit = most ?? least;
    const goal = limit === undefined ? null : `${most === undefined ? '≥' : '≤'} ${limit} × ${referenceName}`;
    const ok = goal && ratio !== null ? (most === undefined ? ratio >= least : ratio <= most) : null;
    this.add({ name, value, unit, reference, ratio, against: ratio === null ? null : referenceName, goal, ok, details });
  }

  // A figure with fixed limits.
  limit({ name, unit, value, most, least, details }) {
    const goal = [least === undefined ? '' : `≥ ${least}`, most === undefined ? '' : `≤ ${most}`].filter(Boolean).join(', ');
    this.add({ name, value, unit, goal, ok: !(value < least) && !(value > most), details });
  }

  jsonLines() {
    return this.#all.map((one) => `${JSON.stringify(one)}\n`).join('');
  }

  table() {
    const head = ['measurement', 'value', 'unit', 'reference', 'ratio', 'goal', ''];
    const rows = this.#all.map((one) => [
      one.name,
      shown(one.value),
      one.unit,
      shown(one.reference),
      one.ratio === null ? '–' : one.ratio.toFixed(2),
      one.goal ?? (one.against ? `beside ${one.against}` : ''),
      one.ok === null ? '' : one.ok ? 'ok' : 'MISSED',
    ]);
    const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
    const numeric = new Set([1, 3, 4]);
    const line = (row) => row.map((text, i) => (numeric.has(i) ? text.padStart(widths[i]) : text.padEnd(widths[i]))).join('  ').trimEnd();
    return [`\n${cpu}`, line(head), line(widths.map((n) => '-'.repeat(n))), ...rows.map(line), ''].join('\n');
  }
}
