// Wires the parts: frames from the socket go into the store and the ledger, the views draw them,
// and what the user does goes out as commands.

import { byId } from './dom.js';
import { Ledger } from './ledger.js';
import { createLog } from './log.js';
import { createMetrics } from './metrics.js';
import { createPad, releaseWhenAway } from './pads.js';
import { isMove, isZero, move, parse, setting } from './protocol.js';
import { createList, createSelector } from './robots.js';
import { createSlider } from './sliders.js';
import { Socket } from './socket.js';
import { createStatus } from './status.js';
import { createStore } from './store.js';
import { createTabs } from './tabs.js';

const AGE_MS = 200; // ages are redrawn this often

const store = createStore();
const ledger = new Ledger(`${Math.random().toString(36).slice(2, 8)}-`);

// --- commands out -----------------------------------------------------------------------------

/** @param {import('./protocol.js').Command} command */
function send(command) {
  if (store.state.connection !== 'connected') return;
  const numbered = { ...command, id: ledger.nextId() };
  const urgent = !isMove(command) || isZero(command);
  if (socket.send(numbered, urgent)) ledger.sent(numbered, performance.now(), Date.now());
  draw();
}

/** @param {string} prefix @param {'robot_move' | 'camera_move'} type */
const pad = (prefix, type) =>
  createPad(byId(prefix, HTMLElement), byId(`${prefix}-knob`, HTMLElement), byId(`${prefix}-readout`, HTMLElement),
    (v) => send(move(type, v, store.state.selected)));

/** @param {string} id @param {'set_speed' | 'set_brightness'} type */
const slider = (id, type) =>
  createSlider(byId(id, HTMLInputElement), byId(`${id}-value`, HTMLElement),
    (value) => send(setting(type, value, store.state.selected)));

const pads = [pad('drive', 'robot_move'), pad('camera', 'camera_move')];
const sliders = [slider('speed', 'set_speed'), slider('brightness', 'set_brightness')];

const releaseAll = () => pads.forEach((p) => p.release());
releaseWhenAway(releaseAll);

/** Commands that are under way belong to the robot that was addressed so far. @param {string} id */
function address(id) {
  if (id === store.state.selected) return;
  releaseAll();
  sliders.forEach((s) => s.leave());
  store.select(id);
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
  if (message.kind === 'ack') ledger.acked(message, now);
  else if (message.kind === 'error') ledger.failed(message, now, Date.now());
  else store.apply(message, now);
  draw();
  return message.kind === 'greeting';
}

const socket = new Socket({
  onFrame,
  onState(state) {
    const connected = state === 'connected';
    if (!connected) ledger.lost();
    store.setConnection(state);
    pads.forEach((p) => p.enable(connected));
    sliders.forEach((s) => s.enable(connected));
  },
});

// --- drawing ----------------------------------------------------------------------------------

const drawStatus = createStatus(
  byId('connection', HTMLElement), byId('connection-text', HTMLElement), byId('warning', HTMLElement),
  byId('ignored', HTMLElement));
const drawSelector = createSelector(byId('robots', HTMLSelectElement), address);
const drawMetrics = createMetrics(byId('metrics', HTMLElement), byId('metrics-title', HTMLElement));
const drawLog = createLog(byId('log', HTMLElement), byId('log-empty', HTMLElement));
const drawList = createList(
  byId('devices', HTMLElement), byId('devices-empty', HTMLElement), byId('devices-count', HTMLElement), address);
const dashboard = byId('panel-dashboard', HTMLElement);

let frameWanted = false;

/** However much arrives, the page is drawn once per frame. */
function draw() {
  if (frameWanted) return;
  frameWanted = true;
  requestAnimationFrame(() => {
    frameWanted = false;
    const now = performance.now();
    drawStatus(store.state);
    drawSelector(store.state);
    drawMetrics(store.state, now);
    drawLog(ledger.rows);
    if (!dashboard.hidden) drawList(store.state, now);
  });
}

store.subscribe(draw);
setInterval(() => {
  ledger.expire(performance.now());
  draw();
}, AGE_MS);

createTabs(
  [
    {
      tab: byId('tab-controller', HTMLElement),
      panel: byId('panel-controller', HTMLElement),
      path: '/robot/controller/',
    },
    { tab: byId('tab-dashboard', HTMLElement), panel: dashboard, path: '/robot/dashboard/' },
  ],
  () => {
    releaseAll();
    draw();
  },
);
socket.start();
