// Goal: of two websites on two relays that ask for control at the same time exactly one gets it, each time; all others are
// told of that one, and each grant has a higher epoch.
import { it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, often, say } from './lib/rig.mjs';

const RACES = often(300, 10000);
const ROBOT = { device_id: 'robot_01' };

it('two websites ask for control at the same time', async () => {
    const cluster = await Cluster.start({ relays: 2, flags: ['--control', 'exclusive', '--website-rate', '0'] });
    try {
        const robot = await cluster.robot(2, 'robot_01');
        const websites = [await cluster.website(1), await cluster.website(2)];
        for (const website of websites) await website.sees(['robot_01']);
        const wins = [0, 0];
        let last = 0;
        for (let race = 0; race < RACES; race++) {
            const from = websites.map((website) => website.history.length);
            const first = race % 2; // who is first to write
            const asked = [first, 1 - first].map((i) => websites[i].ask({ type: 'control_acquire', id: `${race}`, ...ROBOT }));
            const answers = await Promise.all(asked);
            assert.deepEqual(answers.map(({ type, code }) => code ?? type).sort(), ['ack', 'not_in_control'], JSON.stringify(answers));
            const winner = answers[0].type === 'ack' ? first : 1 - first;
            const [won, lost] = await Promise.all([winner, 1 - winner].map((i) =>
                websites[i].seen((message) => message.type === 'control_state' && message.holder, 3000, from[i])));
            assert.deepEqual([won.you, lost.you, lost.holder, lost.epoch], [true, false, won.holder, won.epoch]);
            assert.ok(won.epoch > last, `epoch ${won.epoch} after ${last}`);
            last = won.epoch;
            wins[winner]++;
            await websites[winner].ask({ type: 'control_release', ...ROBOT });
            await Promise.all(websites.map((website, i) => website.seen({ type: 'control_state', holder: null }, 3000, from[i])));
        }
        const epochs = robot.all('robot_move').map(({ epoch }) => epoch); // each grant stops the robot
        assert.deepEqual(epochs, [...new Set(epochs)].sort((a, b) => a - b));
        assert.equal(epochs.length, RACES);
        say(`${RACES} races for control by two websites on two relays: exactly one holder each time (${wins.join(' : ')})`);
    } finally {
        await cluster.stop();
    }
});
