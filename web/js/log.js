// The command log: what was sent and what became of it, newest first.

import { clockTime, element, setData, setText } from './dom.js';

/** @typedef {import('./ledger.js').Row} Row */

/** @param {Row} row */
function createItem(row) {
  const root = element('li', 'entry');
  const label = element('span', 'entry-label');
  const detail = element('span', 'entry-detail');
  root.dataset.type = row.type;
  const what = element('div', 'entry-what');
  what.append(label, element('span', 'entry-target', row.type === 'error' ? '' : row.target || 'all robots'));
  root.append(element('time', 'entry-time', clockTime(row.wallTime)), what, detail);
  return { root, label, detail, version: -1 };
}

/**
 * @param {HTMLElement} list @param {HTMLElement} empty shown while nothing was sent
 * @returns {(rows: Row[]) => void} draws
 */
export function createLog(list, empty) {
  /** @type {Map<number, ReturnType<typeof createItem>>} by row key */
  const items = new Map();
  return (rows) => {
    empty.hidden = rows.length > 0;
    const keys = new Set(rows.map((row) => row.key));
    for (const [key, item] of items) {
      if (keys.has(key)) continue;
      item.root.remove();
      items.delete(key);
    }
    for (let i = rows.length - 1; i >= 0; i--) {
      const row = rows[i];
      let item = items.get(row.key);
      if (!item) {
        item = createItem(row);
        items.set(row.key, item);
        list.prepend(item.root);
      }
      if (item.version === row.version) continue;
      item.version = row.version;
      setText(item.label, row.count > 1 ? `${row.label} ×${row.count}` : row.label);
      setText(item.detail, row.failures > 0 && row.count > 1 ? `${row.detail} · ${row.failures} of ${row.count} failed` : row.detail);
      setData(item.root, 'state', row.state);
      setData(item.root, 'failures', String(row.failures));
    }
  };
}
