// Wires the parts: frames from the socket go into the store and the ledger, the views draw them,
// and what the user does goes out as commands.

import { byId, onPress } from './dom.js';
import { createGamepad } from './gamepad.js';
import { Heartbeats } from './heartbeats.js';
import { Ledger } from './ledger.js';
import { HOLDER_PING_MS, PING_MS } from './liveness.js';
import { createLog } from './log.js';
import { createMetrics } from './metrics.js';
import { createPad, releaseWhenAway } from './pads.js';
import { acquire, isFreshnessBound, isMove, isZero, latch, letGo, move, parse, setting } from './protocol.js';
import { createList, createSelector } from './robots.js';
import { blocks, controlView, gains, movable, TakeGuard } from './safety.js';
import { createSafetyBar, createStop } from './safetybar.js';
import { createSlider } from './sliders.js';
import { Socket } from './socket.js';
import { createStatus } from './status.js';
import { createStore } from './store.js';
import { createTabs } from './tabs.js';
import { Underway } from './underway.js';

const AGE_MS = 200; // ages are redrawn this often
const TAKE_MAX = 64; // robots by one press: well within the relay's rate limit

const store = createStore();
const ledger = new Ledger(`${Math.random().toString(36).slice(2, 8)}-`);
const heartbeats = new Heartbeats();
const underway = new Underway();
const guard = new TakeGuard();

// --- commands out -----------------------------------------------------------------------------

/** @param {import('./protocol.js').Command} command @returns {string} its id, '' when it was not sent */
function send(command) {
  const now = performance.now();
  const id = ledger.nextId();
  const numbered = { ...command, id };
  if (isFreshnessBound(numbered) && numbered.device_id) {
    const hb = heartbeats.command(numbered.device_id, now);
    if (hb !== null) numbered.hb = hb;
  }
  const sent = socket.send(numbered);
  if (sent) ledger.sent(numbered, now, Date.now());
  else ledger.notSent(command, 'no connection', now, Date.now());
  if (sent && isMove(command)) underway.sent(id, command.type, now);
  draw();
  return sent ? id : '';
}

/** What a stall holds is carried out late: little may wait there, and its last is a zero. @param {import('./protocol.js').Move} command */
function steer(command) {
  const now = performance.now();
  if (isZero(command)) send(command);
  else if (underway.late(now)) block(); // lets go of the sticks
  else if (!underway.full(command.type, now)) send(command);
}

/** @param {string} prefix @param {import('./protocol.js').MoveType} type */
const pad = (prefix, type) =>
  createPad(byId(prefix, HTMLElement), byId(`${prefix}-knob`, HTMLElement), byId(`${prefix}-readout`, HTMLElement),
    (v) => steer(move(type, v, store.state.selected)));

/** @param {string} id @param {'set_speed' | 'set_brightness'} type */
const slider = (id, type) =>
  createSlider(byId(id, HTMLInputElement), byId(`${id}-value`, HTMLElement),
    (value) => send(setting(type, value, store.state.selected)));

const controller = byId('panel-controller', HTMLElement);
const dashboard = byId('panel-dashboard', HTMLElement);
const drive = pad('drive', 'robot_move');
const camera = pad('camera', 'camera_move');
const pads = [drive, camera];
const sliders = [slider('speed', 'set_speed'), slider('brightness', 'set_brightness')];

const releaseAll = () => pads.forEach((p) => p.release());
releaseWhenAway(releaseAll);

function stop() {
  const { selected } = store.state;
  const id = send(latch('stop', selected)); // before the zero of a stick that is held
  const now = performance.now();
  if (id !== '') store.ask('stop', selected, id, now);
  else {
    store.notify('Stop was NOT sent: no connection to the relay. A robot with a dead-man has stopped by itself about ' +
      '0.3 s after the last command that reached it; but it is not latched, and others may still drive it.', now);
  }
  releaseAll();
  block();
}

function rearm() {
  const { selected } = store.state;
  releaseAll(); // a robot may obey before its stop state is here
  const id = send(latch('rearm', selected));
  if (id !== '') store.ask('rearm', selected, id, performance.now());
}

function takeControl() {
  const { wanted, others } = controlView(store.state);
  const take = guard.press(others.length > 0, performance.now());
  for (const id of wanted.slice(0, TAKE_MAX)) send(acquire(id, take && others.some((other) => other.id === id)));
}

function releaseControl() {
  releaseAll();
  for (const id of controlView(store.state).mine.slice(0, TAKE_MAX)) send(letGo(id));
}

createStop(byId('stop', HTMLElement), stop);
const buttons = {
  rearm: byId('rearm', HTMLButtonElement),
  take: byId('take', HTMLButtonElement),
  release: byId('release', HTMLButtonElement),
};
onPress(buttons.rearm, rearm);
onPress(buttons.take, takeControl);
onPress(buttons.release, releaseControl);
createGamepad({
  drive: drive.axis, camera: camera.axis, release: releaseAll, stop, wanted: () => !controller.hidden,
});

/** Commands that are under way belong to the robot that was addressed so far. @param {string} id */
function address(id) {
  if (id === store.state.selected) return;
  releaseAll();
  sliders.forEach((s) => s.leave());
  guard.forget();
  store.select(id);
  block();
}

/** @type {Map<string, number>} what the sticks moved so far */
let moved = new Map();

/** Lets be driven and set what can be, now. */
function block() {
  const robots = movable(store.state);
  if (gains(moved, robots)) releaseAll();
  moved = robots;
  const reasons = blocks(store.state, underway.late(performance.now()));
  pads.forEach((p) => p.block(reasons.pads));
  sliders.forEach((s) => s.block(reasons.sliders));
}

// --- frames in --------------------------------------------------------------------------------

/** @param {unknown} frame */
function onFrame(frame) {
  const message = parse(frame);
  const now = performance.now();
  if (message === null) {
    store.countIgnored();
    return false;
  }
  if (message.kind === 'ack' || message.kind === 'error') underway.answered(message.id);
  switch (message.kind) {
    case 'ack':
      ledger.acked(message, now);
      if (message.outcome === 'received') store.answer(message.id, '', now);
      else if (message.originalType === 'stop') store.stopOutcome(message, now);
      break;
    case 'error':
      ledger.failed(message, now, Date.now());
      store.answer(message.id, message.text || message.code || 'no reason given', now);
      if (message.originalType === 'control_acquire' && message.code === 'not_in_control') guard.refused(now);
      break;
    case 'heartbeat':
      heartbeats.heard(message.deviceId, message.hb);
      break;
    case 'pong':
      socket.liveness.pong(message.id, now);
      break;
    default:
      store.apply(message, now);
      if (message.kind !== 'telemetry' && message.kind !== 'status') block();
  }
  draw();
  return message.kind === 'greeting';
}

const socket = new Socket({
  onFrame,
  onState(state) {
    const now = performance.now();
    if (state !== 'connected') {
      ledger.lost();
      heartbeats.reset();
      underway.reset();
      guard.forget();
    }
    store.setConnection(state, now);
    block();
  },
  onGivingUp: releaseAll,
  pingEvery: () => ([...store.state.robots.values()].some((robot) => robot.control?.you) ? HOLDER_PING_MS : PING_MS),
});

// --- drawing ----------------------------------------------------------------------------------

const drawStatus = createStatus(
  byId('connection', HTMLElement), byId('connection-text', HTMLElement), byId('latency', HTMLElement),
  byId('warning', HTMLElement), byId('ignored', HTMLElement));
const drawSafety = createSafetyBar({
  bar: byId('safety', HTMLElement), lines: byId('stop-state', HTMLElement), notice: byId('notice', HTMLElement),
  control: byId('control', HTMLElement), ...buttons,
});
const drawSelector = createSelector(byId('robots', HTMLSelectElement), address);
const drawMetrics = createMetrics(byId('metrics', HTMLElement), byId('metrics-title', HTMLElement));
const drawLog = createLog(byId('log', HTMLElement), byId('log-empty', HTMLElement));
const drawList = createList(
  byId('devices', HTMLElement), byId('devices-empty', HTMLElement), byId('devices-count', HTMLElement), address);

let frameWanted = false;

/** However much arrives, the page is drawn once per frame. */
function draw() {
  if (frameWanted) return;
  frameWanted = true;
  requestAnimationFrame(() => {
    frameWanted = false;
    const now = performance.now();
    drawStatus(store.state, socket.liveness.roundTrip(now));
    drawSafety(store.state, now, guard.armed(now));
    drawSelector(store.state);
    drawMetrics(store.state, now);
    drawLog(ledger.rows);
    if (!dashboard.hidden) drawList(store.state, now);
  });
}

store.subscribe(draw);
setInterval(() => {
  const now = performance.now();
  ledger.expire(now);
  store.tick(now);
  block();
  draw();
}, AGE_MS);

createTabs(
  [
    { tab: byId('tab-controller', HTMLElement), panel: controller, path: '/robot/controller/' },
    { tab: byId('tab-dashboard', HTMLElement), panel: dashboard, path: '/robot/dashboard/' },
  ],
  () => {
    releaseAll();
    draw();
  },
);
socket.start();
