// The commands that were sent and what became of each. Repeated commands of one kind (a held stick,
// a moving slider) share a row. Pure: time comes in as an argument.

import { describe, isZero } from './protocol.js';

/** @typedef {import('./protocol.js').Command} Command */
/** @typedef {'sent' | 'received' | 'error' | 'no-answer'} RowState */

/**
 * @typedef {object} Row
 * @property {number} key unique, rising
 * @property {string} type
 * @property {string} label the newest command, for people
 * @property {string} target robot's id, '' for all
 * @property {number} wallTime when it began, ms since 1970
 * @property {number} count commands in this row
 * @property {RowState} state of the newest answer
 * @property {string} detail what the state says, for people
 * @property {number} failures commands in this row that were refused or not answered
 * @property {number} version rises with each change
 */

/** @typedef {{id: string, type: string, row: Row, sentAt: number, open: boolean}} Entry */

export const ANSWER_MS = 1000;
const GROUP_MS = 1000; // a longer pause begins a new row
const FORGET_MS = 15_000; // an error may follow an ack within this time (a command that expired)
const ENTRIES_MAX = 1024;
export const ROWS_MAX = 60;

export class Ledger {
  /** @param {string} prefix makes ids of this page unique */
  constructor(prefix) {
    this.prefix = prefix;
    this.serial = 0;
    this.rowSerial = 0;
    /** @type {Row[]} newest first */
    this.rows = [];
    /**
     * Rows that take further commands, by kind and target.
     * @type {Map<string, {row: Row, at: number, zero: boolean}>}
     */
    this.groups = new Map();
    /** @type {Map<string, Entry>} by command id, oldest first */
    this.entries = new Map();
  }

  /** @returns {string} an id for the next command */
  nextId() {
    return `${this.prefix}${(++this.serial).toString(36)}`;
  }

  /**
   * Notes a command that is on its way.
   * @param {Command & {id: string}} command @param {number} now @param {number} wallTime
   */
  sent(command, now, wallTime) {
    const { id } = command;
    const target = command.device_id ?? '';
    const groupKey = `${command.type} ${target}`;
    const group = this.groups.get(groupKey);
    const zero = isZero(command); // the end of a motion has a row of its own
    let row;
    if (group && group.zero === zero && now - group.at < GROUP_MS) {
      row = group.row;
      row.count++;
    } else {
      row = this.addRow(command.type, target, wallTime);
    }
    row.label = describe(command);
    row.version++;
    this.groups.set(groupKey, { row, at: now, zero });
    this.entries.set(id, { id, type: command.type, row, sentAt: now, open: true });
    this.forget(now);
  }

  /** @param {string} type @param {string} target @param {number} wallTime */
  addRow(type, target, wallTime) {
    /** @type {Row} */
    const row = {
      key: ++this.rowSerial, type, label: '', target, wallTime, count: 1, state: 'sent', detail: 'sent', failures: 0,
      version: 0,
    };
    this.rows.unshift(row);
    if (this.rows.length > ROWS_MAX) this.rows.length = ROWS_MAX;
    return row;
  }

  /** @param {import('./protocol.js').Ack} ack @param {number} now */
  acked(ack, now) {
    const entry = this.find(ack.id, ack.originalType);
    if (!entry || !entry.open) return;
    entry.open = false;
    const robots = ack.robots === null ? '' : `, robots: ${ack.robots}`;
    this.settle(entry, 'received', `received by relay${robots} · ${Math.round(now - entry.sentAt)} ms`);
  }

  /** @param {import('./protocol.js').Failure} failure @param {number} now @param {number} wallTime */
  failed(failure, now, wallTime) {
    const detail = `${failure.text || 'refused'}${failure.code ? ` (${failure.code})` : ''}`;
    const entry = this.find(failure.id, failure.originalType);
    if (entry) {
      entry.open = false;
      this.settle(entry, 'error', detail);
      return;
    }
    // An error that belongs to no command is still shown; the same one again only counts.
    const previous = this.groups.get('error ');
    let row = previous?.row;
    if (row && previous && row.detail === detail && now - previous.at < FORGET_MS) {
      row.count++;
    } else {
      row = this.addRow('error', '', wallTime);
      Object.assign(row, { label: failure.originalType || 'Relay', state: 'error', detail });
    }
    row.version++;
    this.groups.set('error ', { row, at: now, zero: false });
  }

  /** Commands without an answer in time. @param {number} now */
  expire(now) {
    let changed = false;
    for (const entry of this.entries.values()) {
      if (now - entry.sentAt < ANSWER_MS) break;
      if (!entry.open) continue;
      entry.open = false;
      this.settle(entry, 'no-answer', 'no answer');
      changed = true;
    }
    this.forget(now);
    return changed;
  }

  /** The connection is lost: nothing that is open will be answered. */
  lost() {
    for (const entry of this.entries.values()) {
      if (entry.open) this.settle(entry, 'no-answer', 'no answer (connection lost)');
    }
    this.entries.clear();
    this.groups.clear();
  }

  /** @param {Entry} entry @param {RowState} state @param {string} detail */
  settle(entry, state, detail) {
    const { row } = entry;
    row.state = state;
    row.detail = detail;
    if (state !== 'received') row.failures++;
    row.version++;
  }

  /** @param {string} id @param {string} type @returns {Entry | null} by id; without one the oldest that waits */
  find(id, type) {
    if (id !== '') return this.entries.get(id) ?? null;
    for (const entry of this.entries.values()) if (entry.open && entry.type === type) return entry;
    return null;
  }

  /** @param {number} now */
  forget(now) {
    for (const [id, entry] of this.entries) {
      if (this.entries.size <= ENTRIES_MAX && now - entry.sentAt < FORGET_MS) break;
      this.entries.delete(id);
    }
  }
}
