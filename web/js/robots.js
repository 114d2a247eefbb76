// Which robots there are: the selector in the header and the list on the Dashboard tab.

import { clockTime, duration, element, setData, setText } from './dom.js';
import { format, KINDS, UNKNOWN } from './metrics.js';
import { stopLine } from './safety.js';
import { isStale, presenceKnown, sortedRobots } from './store.js';

/** @typedef {import('./store.js').State} State */
/** @typedef {import('./store.js').Robot} Robot */

/**
 * @param {HTMLSelectElement} select @param {(id: string) => void} choose '' for all robots
 * @returns {(state: State) => void} draws
 */
export function createSelector(select, choose) {
  let drawn = '';
  select.addEventListener('change', () => choose(select.value));
  return (state) => {
    const known = presenceKnown(state);
    const rows = sortedRobots(state)
      // A selected robot that goes offline stays selected: commands must not go to all of a sudden.
      .filter((robot) => robot.online || robot.id === state.selected)
      .map((robot) => ({ id: robot.id, label: robot.online || !known ? robot.id : `${robot.id} (offline)` }));
    const wanted = JSON.stringify([rows, state.selected]);
    if (wanted === drawn) return;
    drawn = wanted;
    select.replaceChildren(
      new Option('All robots', ''),
      ...rows.map((row) => new Option(row.label, row.id)),
    );
    select.value = state.selected;
  };
}

/** @param {string} id @param {(id: string) => void} choose */
function createCard(id, choose) {
  const root = element('li', 'robot');
  root.dataset.deviceId = id;
  const button = element('button', 'robot-name', id);
  button.setAttribute('type', 'button');
  button.setAttribute('aria-label', `Select ${id}`);
  button.addEventListener('click', () => choose(id));
  const state = element('span', 'robot-state');
  const head = element('div', 'robot-head');
  head.append(element('span', 'dot'), button, state);
  const values = element('dl', 'robot-values');
  const cells = KINDS.map((kind) => {
    const cell = element('div', 'robot-cell');
    const value = element('dd', '', UNKNOWN);
    cell.append(element('dt', '', kind.label), value);
    values.append(cell);
    return { kind, value };
  });
  const stop = element('p', 'stop-line');
  const more = element('p', 'robot-more');
  const age = element('p', 'robot-age');
  root.append(head, stop, values, more, age);
  return { root, state, stop, cells, more, age };
}

/** Metrics beyond the four, on one line. @param {Robot} robot */
function further(robot) {
  const parts = [];
  for (const [name, metric] of robot.metrics) {
    if (!KINDS.some((kind) => kind.name === name)) parts.push(`${name} ${format(metric.value, 2)}`);
  }
  return parts.join(' · ');
}

/** @param {ReturnType<typeof createCard>} view @param {Robot} robot @param {State} state @param {number} now */
function drawCard(view, robot, state, now) {
  const presence = !presenceKnown(state) ? 'unknown' : robot.online ? 'online' : 'offline';
  setData(view.root, 'presence', presence);
  setData(view.root, 'selected', String(state.selected === robot.id));
  setData(view.root, 'stale', String(isStale(state, robot, robot.lastAt, now)));
  setText(view.state, presence);
  const stop = stopLine(state, robot, now, clockTime);
  setData(view.stop, 'state', stop.kind);
  setText(view.stop, stop.kind === 'offline' ? '' : stop.text);
  for (const { kind, value } of view.cells) {
    const metric = robot.metrics.get(kind.name);
    setText(value, metric ? `${format(metric.value, kind.decimals)} ${kind.unit}` : UNKNOWN);
    setData(value, 'stale', String(isStale(state, robot, metric?.at, now)));
  }
  setText(view.more, [robot.status, further(robot)].filter(Boolean).join(' · '));
  setText(view.age, robot.lastAt === null ? 'no telemetry yet' : `telemetry ${duration(now - robot.lastAt)} ago`);
}

/**
 * @param {HTMLElement} list @param {HTMLElement} empty shown while no robot is known
 * @param {HTMLElement} count says how many are online @param {(id: string) => void} choose
 * @returns {(state: State, now: number) => void} draws
 */
export function createList(list, empty, count, choose) {
  /** @type {Map<string, ReturnType<typeof createCard>>} by robot: a card under a finger stays that robot's */
  const cards = new Map();
  return (state, now) => {
    const robots = sortedRobots(state);
    const online = robots.filter((robot) => robot.online).length;
    empty.hidden = robots.length > 0;
    setText(count, presenceKnown(state)
      ? `${online} online, ${robots.length - online} offline` : `${robots.length} known, unknown who is online`);
    for (const [id, card] of cards) {
      if (state.robots.has(id)) continue;
      card.root.remove();
      cards.delete(id);
    }
    robots.forEach((robot, i) => {
      let card = cards.get(robot.id);
      if (!card) {
        card = createCard(robot.id, choose);
        cards.set(robot.id, card);
      }
      if (list.children[i] !== card.root) list.insertBefore(card.root, list.children[i] ?? null);
      drawCard(card, robot, state, now);
    });
  };
}
