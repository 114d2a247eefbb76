// The live values of one robot, each with its age. A value that never came is shown as "—".

import { duration, element, setData, setText } from './dom.js';
import { isStale, presenceKnown } from './store.js';

/** @typedef {{name: string, label: string, unit: string, decimals: number, scale: [number, number]}} Kind */

/** @type {Kind[]} the scale is what the bar shows from empty to full */
export const KINDS = [
  { name: 'battery', label: 'Battery', unit: '%', decimals: 2, scale: [0, 100] },
  { name: 'cpu', label: 'CPU', unit: '%', decimals: 1, scale: [0, 100] },
  { name: 'temperature', label: 'Temperature', unit: '°C', decimals: 1, scale: [0, 100] },
  { name: 'signal', label: 'Signal', unit: '%', decimals: 1, scale: [0, 100] },
];

export const UNKNOWN = '—';

/** @param {number} value @param {number} decimals the most to show */
export const format = (value, decimals) => String(Number(value.toFixed(decimals)));

/** @param {Kind} kind @param {number} value */
function level(kind, value) {
  const [low, high] = kind.scale;
  return Math.max(0, Math.min(1, (value - low) / (high - low)));
}

/** What deserves a second look. @param {Kind} kind @param {number} value */
function concern(kind, value) {
  if (kind.name === 'temperature') return value >= 80 ? 'bad' : value >= 65 ? 'warn' : 'good';
  if (kind.name === 'cpu') return value >= 95 ? 'bad' : value >= 80 ? 'warn' : 'good';
  return value <= 10 ? 'bad' : value <= 25 ? 'warn' : 'good';
}

/** @param {Kind} kind */
function card(kind) {
  const root = element('div', 'metric');
  const value = element('span', 'metric-value', UNKNOWN);
  value.dataset.metric = kind.name;
  const line = element('dd', 'metric-line');
  line.append(value, element('span', 'metric-unit', kind.unit));
  const bar = element('div', 'metric-bar');
  bar.append(element('div', 'metric-fill'));
  const age = element('dd', 'metric-age', 'no data yet');
  const details = element('dl', 'metric-text');
  details.append(element('dt', 'metric-label', kind.label), line, age);
  root.append(details, bar);
  return { kind, root, value, age, fill: /** @type {HTMLElement} */ (bar.firstElementChild), drawn: NaN };
}

/**
 * @param {HTMLElement} container @param {HTMLElement} title says whose values they are
 * @returns {(state: import('./store.js').State, now: number) => void} draws
 */
export function createMetrics(container, title) {
  const cards = KINDS.map(card);
  container.replaceChildren(...cards.map((c) => c.root));
  return (state, now) => {
    const robot = state.robots.get(state.shown);
    setText(title, state.shown === '' ? 'No robot yet' : robot?.name && robot.name !== robot.id
      ? `${robot.name} (${robot.id})` : state.shown);
    for (const c of cards) {
      const metric = robot?.metrics.get(c.kind.name);
      const stale = isStale(state, robot, metric?.at, now);
      setText(c.value, metric ? format(metric.value, c.kind.decimals) : UNKNOWN);
      setData(c.value, 'age', metric ? ((now - metric.at) / 1000).toFixed(1) : null);
      setData(c.value, 'stale', metric ? String(stale) : null);
      setData(c.root, 'stale', String(stale));
      setData(c.root, 'concern', metric ? concern(c.kind, metric.value) : 'none');
      const gone = robot && !robot.online && presenceKnown(state) ? 'offline · ' : stale ? 'stale · ' : '';
      setText(c.age, metric ? `${gone}${duration(now - metric.at)} ago` : 'no data yet');
      const drawn = metric ? level(c.kind, metric.value) : 0;
      if (drawn !== c.drawn) {
        c.fill.style.transform = `scaleX(${drawn.toFixed(3)})`;
        c.drawn = drawn;
      }
    }
  };
}
