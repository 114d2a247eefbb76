// The connection to a relay. It reconnects by itself; the page is never reloaded.

import { delay } from './backoff.js';
import { Liveness, TICK_MS } from './liveness.js';

/** @typedef {import('./store.js').Connection} Connection */

const PATH = '/ws/telemetry/';
const OPEN_MS = 5000; // from the attempt to the relay's greeting
const FIRST_OPEN_MS = 2500; // of the first attempts: another relay may answer where this one hangs

/**
 * @typedef {object} Handlers
 * @property {(state: Connection) => void} onState
 * @property {(frame: unknown) => boolean} onFrame returns true once the frame was the relay's greeting
 * @property {() => void} onGivingUp the connection is given up next; what is sent now is the last
 * @property {() => number} pingEvery ms
 */

export class Socket {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {WebSocket | null} */
    this.ws = null;
    this.greeted = false;
    this.failures = 0;
    this.liveness = new Liveness();
    /** @type {ReturnType<typeof setTimeout> | undefined} next attempt, or the deadline of this one */
    this.timer = undefined;
  }

  start() {
    // Back on the network: a connection from before may be dead without knowing it.
    window.addEventListener('online', () => {
      this.giveUp();
      this.connect();
    });
    document.addEventListener('visibilitychange', () => {
      // Do not let someone who looks at the page sit out a long wait.
      if (document.visibilityState === 'visible' && this.ws === null) this.connect();
    });
    setInterval(() => this.tick(performance.now()), TICK_MS);
    this.connect();
  }

  /** Asks whether the relay is still there. @param {number} now */
  tick(now) {
    if (!this.greeted || this.ws === null) return;
    const due = this.liveness.tick(now, this.handlers.pingEvery());
    if (due === 'ping') this.send({ type: 'ping', id: this.liveness.pingId() });
    if (due === 'dead') {
      this.giveUp();
      this.connect();
    }
  }

  connect() {
    clearTimeout(this.timer);
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const ws = new WebSocket(`${scheme}://${location.host}${PATH}`);
    this.ws = ws;
    this.greeted = false;
    this.handlers.onState('connecting');
    this.timer = setTimeout(() => this.lost(ws), this.failures <= 1 ? FIRST_OPEN_MS : OPEN_MS);
    ws.addEventListener('message', (event) => {
      if (this.ws !== ws) return;
      this.liveness.heard(performance.now());
      if (this.handlers.onFrame(event.data) && !this.greeted) this.greet();
    });
    ws.addEventListener('close', () => this.lost(ws));
  }

  greet() {
    this.greeted = true;
    this.failures = 0;
    this.liveness.begin(performance.now());
    clearTimeout(this.timer);
    this.handlers.onState('connected');
  }

  giveUp() {
    if (this.ws === null) return;
    this.handlers.onGivingUp();
    this.lost(this.ws);
  }

  /** @param {WebSocket} ws the one that ended: a late end of an older one means nothing */
  lost(ws) {
    if (this.ws !== ws) return;
    this.ws = null;
    this.greeted = false;
    ws.close();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), delay(this.failures++, Math.random()));
    this.handlers.onState('disconnected');
  }

  /** @param {object} message @returns {boolean} whether it is on its way */
  send(message) {
    if (!this.greeted || this.ws === null || this.ws.readyState !== WebSocket.OPEN) return false;
    this.ws.send(JSON.stringify(message));
    return true;
  }
}
