// Goal: who asks the api whether all is well is told how archiving goes; and that is never a reason not to be ready.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/wait.mjs';
import { Redis } from './lib/redis.mjs';

describe('what the api says about the archive', () => {
    let stack;
    let redis;
    before(async () => {
        stack = await Stack.up({ RELAYS: '1', ROBOTS: '1' });
        redis = await Redis.open(`${stack.dir}/redis.sock`);
    });
    after(async () => {
        redis?.close();
        await stack.close();
    });

    // Its last line, and that the answer is 200.
    const line = async () => {
        const { status, text } = await stack.request('/readyz?verbose');
        assert.equal(status, 200, text);
        assert.match(text, /^\[\+\]redis ok\n\[\+\]relays ok\n/);
        return text.trim().split('\n').at(-1);
    };
    const told = (pattern) => until(async () => pattern.test(await line()), 10000, `${pattern}`);

    it('is how late it is', async () => {
        await told(/^\[\+\]archive ok: lag \d\.\d s$/);
        let text;
        // The relay's come once a second.
        await until(async () => {
            ({ text } = await stack.request('/metrics'));
            return /^telerelay_wsd_robots\{/m.test(text);
        }, 5000, 'the metrics of the relay');
        assert.match(text, /^telerelay_archive_working 1$/m);
        assert.match(text, /^telerelay_archive_rows_total\{kind="samples"\} \d+$/m);
        assert.equal(text.match(/^# TYPE telerelay_archive_lag_seconds gauge$/mg).length, 1);
        assert.match(text, /^telerelay_wsd_robots\{relay="wsd-1"\} [01]$/m);
    });

    it('is that there is nobody, once it is told to end', async () => {
        assert.equal((await stack.verb('stop', 'archiver')).status, 0);
        assert.equal(await line(), '[!]archive: no archiver runs');
        assert.doesNotMatch((await stack.request('/metrics')).text, /telerelay_archive_/);
        assert.equal((await stack.verb('start', 'archiver')).status, 0);
        await told(/^\[\+\]archive ok/);
    });

    it('is what is wrong, in one line', async () => {
        process.kill(stack.pid('archiver'), 'SIGSTOP'); // it leaves its state as it is
        await redis.call('HSET', 'tr:archive', 'database', 'away', 'reason', 'no\n[+]all well', 'lag_ms', '3600200', 'near_loss', '2');
        assert.equal(await line(), '[!]archive behind: lag 3600.2 s, database away: no [+]all well, 2 streams are about to lose what waits');
        await redis.call('HSET', 'tr:archive', 'database', 'up', 'reason', '', 'near_loss', '0');
        assert.equal(await line(), '[!]archive behind: lag 3600.2 s');
        process.kill(stack.pid('archiver'), 'SIGCONT');
        await told(/^\[\+\]archive ok/);
    });
});
