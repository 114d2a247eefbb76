// What a robot's outputs did, read from its --trace as it grows.
import fs from 'node:fs';

export const atRest = (line) => line.left === 0 && line.right === 0;

export class Trace {
    #drive = [];
    #at = 0;
    #rest = '';

    constructor(path) {
        this.path = path;
    }

    // Every line about the drive.
    drive() {
        let fd;
        try {
            fd = fs.openSync(this.path, 'r');
        } catch {
            return this.#drive; // the robot has not begun it yet
        }
        const buffer = Buffer.alloc(65536);
        for (let n; (n = fs.readSync(fd, buffer, 0, buffer.length, this.#at)) > 0; this.#at += n) this.#take(buffer.toString('utf8', 0, n));
        fs.closeSync(fd);
        return this.#drive;
    }

    #take(text) {
        const parts = (this.#rest + text).split('\n');
        this.#rest = parts.pop();
        for (const part of parts) {
            const line = JSON.parse(part);
            if (line.output === 'drive') this.#drive.push(line);
        }
    }

    // The commands that moved the robot.
    executed(from = 0, to = Infinity) {
        return this.drive().filter((line) => line.t_ns > from && line.t_ns <= to && line.cause === 'command' && !atRest(line));
    }

    // ms from each command that moved the robot to the next change of its drive. A new start of the robot ends the count.
    gaps() {
        const drive = this.drive();
        return drive.slice(1).flatMap((line, i) => (atRest(drive[i]) || line.cause === 'start' ? [] : [(line.t_ns - drive[i].t_ns) / 1e6]));
    }

    // ms from the last command to rest, for each time the robot came to rest.
    rests(from = 0, to = Infinity) {
        const drive = this.drive();
        return drive.slice(1).flatMap((line, i) => (atRest(line) && !atRest(drive[i]) && line.cause !== 'start' && line.t_ns > from && line.t_ns <= to
            ? [(line.t_ns - drive[i].t_ns) / 1e6] : []));
    }
}
