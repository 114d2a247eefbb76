// Goal: a peer that is gone without a word — its machine hangs, its network is cut — is noticed by the
// pings it does not answer, within 4 s and some; one that answers stays.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, robotWent } from './lib/harness.mjs';

describe('half-open connections', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    after(() => cluster.stop());

    it('a robot that answers no ping is gone soon, and websites are told', async () => {
        const website = await cluster.website(2);
        const alive = await cluster.robot(1, 'robot_01');
        const at = performance.now();
        const dead = await cluster.raw(1, '/ws/telemetry/?device_id=robot_02');
        await website.sees(['robot_01', 'robot_02']);
        await website.next(robotWent('robot_02'), 8000);
        const took = performance.now() - at;
        console.log(`a half-open robot was gone after ${Math.round(took)} ms`);
        assert.ok(took <= 5000, `${took} ms`);
        await dead.ending();
        assert.ok(alive.open && website.open);
        assert.deepEqual(website.online(), ['robot_01']);
    });
});
