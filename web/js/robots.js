// Which robots there are: the selector in the header and the list on the Dashboard tab.

import { duration, element, setData, setText } from './dom.js';
import { format, KINDS, UNKNOWN } from './metrics.js';
import { isStale, sortedRobots } from './store.js';

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
    const rows = sortedRobots(state)
      // A selected robot that goes offline stays selected: commands must not go to all of a sudden.
      .filter((robot) => robot.online || robot.id === state.selected)
      .map((robot) => ({ id: robot.id, label: robot.online ? robot.id : `${robot.id} (offline)` }));
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

/** @param {(id: string) => void} choose */
function createCard(choose) {
  const root = element('li', 'robot');
  const button = element('button', 'robot-name');
  button.setAttribute('type', 'button');
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
  const more = element('p', 'robot-more');
  const age = element('p', 'robot-age');
  root.append(head, values, more, age);
  const view = { root, button, state, cells, more, age, id: '' };
  button.addEventListener('click', () => choose(view.id));
  return view;
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
  view.id = robot.id;
  setText(view.button, robot.id);
  view.button.setAttribute('aria-label', `Select ${robot.id}`);
  setData(view.root, 'deviceId', robot.id);
  setData(view.root, 'online', String(robot.online));
  setData(view.root, 'selected', String(state.selected === robot.id));
  setData(view.root, 'stale', String(isStale(state, robot, robot.lastAt, now)));
  setText(view.state, robot.online ? 'online' : 'offline');
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
  /** @type {ReturnType<typeof createCard>[]} reused from the top */
  const cards = [];
  return (state, now) => {
    const robots = sortedRobots(state);
    empty.hidden = robots.length > 0;
    setText(count, `${robots.filter((r) => r.online).length} online, ${robots.filter((r) => !r.online).length} offline`);
    while (cards.length > robots.length) cards.pop()?.root.remove();
    while (cards.length < robots.length) {
      const card = createCard(choose);
      cards.push(card);
      list.append(card.root);
    }
    robots.forEach((robot, i) => drawCard(cards[i], robot, state, now));
  };
}
