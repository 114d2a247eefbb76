// The commands that were sent and what became of each. Repeated commands of one kind (a held stick,
// a moving slider) share a row. Pure: time comes in as an argument.

import { describe, isZero } from './protocol.js';

/** @typedef {import('./protocol.js').Command} Command */
/**
 * sent; received by the relay; applied, rejected or expired: the robot's own word; the others: the relay's refusal,
 * or that there was none to ask. superseded: a newer motion took its place before it was sent, which is no failure.
 * @typedef {'sent' | 'received' | 'applied' | 'rejected' | 'expired' | 'no-robot' | 'stopped' | 'not-in-control' |
 *   'superseded' | 'error' | 'no-answer' | 'not-sent'} RowState
 */

/**
 * @typedef {object} Row
 * @property {number} key unique, rising
 * @property {string} type
 * @property {string} label the newest command, for people
 * @property {string} target robot's id, '' for all
 * @property {number} wallTime when it began, ms since 1970
 * @property {number} count commands in this row
 * @property {RowState} state of the newest command whose answer is known
 * @property {string} detail what the state says, for people
 * @property {number} failures commands in this row that were refused or not answered
 * @property {number} shown serial of the command that state and detail belong to
 * @property {number} outcomeAt when a robot's own word was shown last
 * @property {number} version rises with each change
 */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {number} serial rising
 * @property {string} type
 * @property {Row} row
 * @property {number} sentAt
 * @property {boolean} open nobody has answered yet
 * @property {boolean} overdue an answer was expected by now, and may still come
 * @property {boolean} failed counted as a failure
 * @property {number | null} robots to how many it is on its way
 * @property {number} applied robots that applied it
 * @property {number} latency ms, the longest that a robot's answer took
 * @property {string} receivedDetail the relay's answer while it waits for the robot's, '' otherwise
 */

export const ANSWER_MS = 2000;
const OUTCOME_MS = 500; // a robot's answer is shown this long before the relay's to a newer command takes its place
const GROUP_MS = 1000; // a longer pause begins a new row
const FORGET_MS = 15_000; // an error may follow an ack within this time (a command that expired)
const ENTRIES_MAX = 1024;
/** @type {Record<string, RowState>} */
const REFUSALS = { no_robot: 'no-robot', stopped: 'stopped', not_in_control: 'not-in-control', expired: 'expired' };
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
    const row = this.rowOf(command, now, wallTime);
    const { id, type } = command;
    this.entries.set(id, {
      id, serial: this.serial, type, row, sentAt: now, open: true, overdue: false, failed: false, robots: null, applied: 0, latency: 0,
      receivedDetail: '',
    });
    this.forget(now);
  }

  /** A command that could not be sent. @param {Command} command @param {string} why @param {number} now @param {number} wallTime */
  notSent(command, why, now, wallTime) {
    const row = this.rowOf(command, now, wallTime);
    Object.assign(row, { state: 'not-sent', detail: `not sent: ${why}`, shown: this.serial });
    row.failures++;
  }

  /** @param {Command} command @param {number} now @param {number} wallTime @returns {Row} */
  rowOf(command, now, wallTime) {
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
    return row;
  }

  /** @param {string} type @param {string} target @param {number} wallTime */
  addRow(type, target, wallTime) {
    /** @type {Row} */
    const row = {
      key: ++this.rowSerial, type, label: '', target, wallTime, count: 1, state: 'sent', detail: 'sent', failures: 0,
      shown: 0, outcomeAt: -Infinity, version: 0,
    };
    this.rows.unshift(row);
    if (this.rows.length > ROWS_MAX) this.rows.length = ROWS_MAX;
    return row;
  }

  /** @param {import('./protocol.js').Ack} ack @param {number} now */
  acked(ack, now) {
    if (ack.outcome !== 'received') {
      this.answered(ack, now);
      return;
    }
    const entry = this.find(ack.id, ack.originalType);
    if (!entry || !entry.open) return;
    this.close(entry);
    entry.robots = ack.robots;
    const robots = ack.robots === null ? '' : `, robots: ${ack.robots}`;
    const detail = `received by relay${robots} · ${Math.round(now - entry.sentAt)} ms`;
    // In a row of commands that robots answer, their word would flicker.
    if (now - entry.row.outcomeAt < OUTCOME_MS) entry.receivedDetail = detail;
    else this.settle(entry, 'received', detail);
  }

  /** A robot says what became of a command. @param {import('./protocol.js').Ack} ack @param {number} now */
  answered(ack, now) {
    const entry = ack.id === '' ? null : this.entries.get(ack.id);
    if (!entry) return;
    this.close(entry);
    entry.receivedDetail = '';
    const { row } = entry;
    if (entry.serial >= row.shown) row.outcomeAt = now;
    const took = ack.latency ?? now - entry.sentAt;
    const where = (entry.robots ?? 1) > 1 && ack.deviceId !== '' ? ` by ${ack.deviceId}` : '';
    if (ack.outcome !== 'applied') {
      const state = ack.reason === 'superseded' ? 'superseded' : ack.outcome;
      this.settle(entry, state, `${ack.outcome}${where}${ack.reason ? ` (${ack.reason})` : ''} · ${Math.round(took)} ms`);
      return;
    }
    entry.applied++;
    entry.latency = Math.max(entry.latency, took);
    if (entry.failed) return; // another robot's refusal matters more
    const robots = (entry.robots ?? 1) > 1 ? ` by ${entry.applied} of ${entry.robots} robots` : '';
    this.settle(entry, 'applied', `applied${robots} (${Math.round(entry.latency)} ms)`);
  }

  /** @param {import('./protocol.js').Failure} failure @param {number} now @param {number} wallTime */
  failed(failure, now, wallTime) {
    const detail = `${failure.text || 'refused'}${failure.code ? ` (${failure.code})` : ''}`;
    const entry = this.find(failure.id, failure.originalType);
    if (entry) {
      this.close(entry);
      entry.receivedDetail = '';
      this.settle(entry, REFUSALS[failure.code] ?? 'error', detail);
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
      if (entry.receivedDetail !== '' && now - entry.sentAt >= OUTCOME_MS) {
        this.settle(entry, 'received', entry.receivedDetail);
        entry.receivedDetail = '';
        changed = true;
      }
      if (!entry.open || entry.overdue || now - entry.sentAt < ANSWER_MS) continue;
      entry.overdue = true;
      this.settle(entry, 'no-answer', 'no answer');
      changed = true;
    }
    this.forget(now);
    return changed;
  }

  /** The connection is lost: nothing that is open will be answered. */
  lost() {
    for (const entry of this.entries.values()) {
      if (entry.open && !entry.overdue) this.settle(entry, 'no-answer', 'no answer (connection lost)');
    }
    this.entries.clear();
    this.groups.clear();
  }

  /** An answer is here; where none was expected any more, that was no failure. @param {Entry} entry */
  close(entry) {
    entry.open = false;
    if (!entry.overdue) return;
    entry.overdue = entry.failed = false;
    entry.row.failures--;
  }

  /** @param {Entry} entry @param {RowState} state @param {string} detail */
  settle(entry, state, detail) {
    const { row } = entry;
    const fine = state === 'received' || state === 'applied' || state === 'superseded';
    if (!fine && !entry.failed) {
      entry.failed = true;
      row.failures++;
    }
    if (entry.serial >= row.shown) Object.assign(row, { state, detail, shown: entry.serial });
    row.version++;
  }

  /** @param {string} id @param {string} type @returns {Entry | null} by id; without one the oldest that waits */
  find(id, type) {
    if (id !== '') return this.entries.get(id) ?? null;
    for (const entry of this.entries.values()) if (entry.open && !entry.overdue && entry.type === type) return entry;
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
