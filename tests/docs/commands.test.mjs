// Goal: every command that a document shows works as shown. Commands of ```sh blocks are run, on a stack of the
// test's own; those that a test cannot run (they need systemd, or are this very test run) are listed here with
// what proves them instead. A command that is in neither fails.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, Stack } from '../system/lib/stack.mjs';
import { within } from '../system/lib/wait.mjs';

const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'PROTOCOL.md', 'ARCHITECTURE.md'];

const commands = DOCUMENTS.flatMap((document) => {
    const text = fs.readFileSync(path.join(ROOT, document), 'utf8');
    return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block]) =>
        block.split('\n').map((line) => line.replace(/\s+#.*$/, '').trim()).filter(Boolean).map((line) => ({ document, line })));
});

let stack;
before(async () => {
    stack = await Stack.prepare();
});
after(async () => {
    await stack?.close();
});

// The documents' default addresses become this stack's own.
function run(line, seconds) {
    const command = line.replaceAll('localhost:8000', `localhost:${stack.port}`).replace(/^curl /, 'curl --fail ');
    const { PATH, HOME, CI } = process.env;
    const env = { ...stack.environment(), PATH, HOME, ...(CI ? { CI } : {}) };
    return spawnSync('bash', ['-euc', command], { cwd: ROOT, env, timeout: seconds * 1000, encoding: 'utf8' });
}

function works(line, seconds) {
    const { status, stdout, stderr } = run(line, seconds);
    assert.equal(status, 0, `${line}\n${stdout}\n${stderr}`);
    return stdout;
}

// `make TARGET` exists and could be run; what it does is proved elsewhere.
const dryRun = (line) => works(line.replace(/^make/, 'make --dry-run'), 60);
const inCi = (line) => assert.ok(fs.readFileSync(path.join(ROOT, '.ci/run'), 'utf8').split('\n').includes(line), `.ci/run has ${line}`);

// Runs until `seen` says so, then gets SIGINT, as by Ctrl-C, and has to end and leave nothing behind.
async function foreground(line, seen) {
    const command = line.replaceAll('localhost:8000', `localhost:${stack.port}`);
    const child = spawn('bash', ['-c', `exec ${command}`], { cwd: ROOT, env: stack.environment(), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    const ended = new Promise((resolve) => child.on('close', resolve));
    const shown = new Promise((resolve, reject) => {
        for (const stream of [child.stdout, child.stderr])
            stream.on('data', (data) => {
                output += data;
                if (seen.test(output)) resolve();
            });
        ended.then(() => reject(new Error(`${line} ended early:\n${output}`)));
    });
    try {
        await within(shown, 120000, `${line} to say ${seen}`);
    } finally {
        process.kill(-child.pid, 'SIGINT');
    }
    await within(ended, 30000, `the end of ${line}`);
}

const proofs = [
    [/^make run$/, async (line) => {
        await foreground(line, /https:\/\/localhost:/);
        assert.deepEqual(stack.leftovers(), []);
    }],
    [/^make (up|down)$/, (line) => works(line, 180)],
    [/^deploy\/stack status$/, (line) => assert.match(works(line, 30), /wsd-2 +running/)],
    [/^curl /, (line) => assert.ok(works(line, 30).length > 0, line)],
    [/^build\/release\/bin\/telerelay-robot /, async (line) => {
        works('make up', 180);
        await foreground(line, /event=telemetry_sent/);
        works('make down', 60);
    }],
    [/^build\/release\/bin\/telerelayctl archive status --config run\/telerelay\.conf$/, (line) =>
        assert.match(works(line.replace(' run/', ` ${stack.dir}/`), 30), /^samples +\d+/m)],
    [/^make (test|lint)$/, inCi],
    [/^make( CONFIG=asan units| bench| coverage| faults| sim| format| fuzz FUZZ_SECONDS=5)?$/, dryRun],
    // tests/system/install.test.mjs does these below a DESTDIR; systemd and /etc/nginx are the reader's.
    // A cluster that is the machine's own; tests/postgres makes the like.
    [/^sudo (apt-get install postgresql-15|-u postgres create(user|db) .*)$/, () => {}],
    [/^sudo (deploy\/install-packages|make install|systemctl|systemd-sysusers|systemd-tmpfiles|ln|rm|nginx) ?/, () => {}],
];

for (const { document, line } of commands)
    test(`${document}: ${line}`, async () => {
        const proof = proofs.find(([pattern]) => pattern.test(line));
        assert.ok(proof, 'this command is not proved: run it here, or say what does');
        await proof[1](line);
    });
