// Goal: `make install` puts a complete server into place, never over somebody's configuration, and the
// production site keeps its promises in front of real parts.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { ROOT, Stack, freePorts } from './lib/stack.mjs';
import { until, within } from './lib/wait.mjs';

const sh = (command, args, options = {}) => {
    const { MAKEFLAGS, MAKELEVEL, MFLAGS, ...env } = process.env;
    const result = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', timeout: 120000, ...options, env: { ...env, ...options.env } });
    assert.equal(result.status, 0, `${command} ${args.join(' ')}:\n${result.stdout}${result.stderr}`);
    return result.stdout;
};

describe('make install', () => {
    let stack; // only for its directory, and to put the production site in front of
    let root;
    const at = (...parts) => path.join(root, ...parts);
    const read = (name) => fs.readFileSync(at(name), 'utf8');
    const install = () => sh('make', ['-s', 'install', `DESTDIR=${root}`, 'PREFIX=/usr/local', 'SERVER_NAME=robots.example.org', 'RELAYS=3', 'CONFIG=release']);

    before(async () => {
        stack = await Stack.up({ ROBOTS: '0' });
        root = path.join(stack.parent, 'root');
        install();
    });
    after(() => stack.close());

    it('installs programs that take the installed configuration', () => {
        for (const program of ['telerelay-wsd', 'telerelay-archiver', 'telerelay-api', 'telerelay-robot', 'telerelayctl'])
            sh(at('usr/local/bin', program), ['--check-config', '--config', at('etc/telerelay/telerelay.conf')]);
        assert.match(read('etc/telerelay/telerelay.conf'), /^address = unix:\/run\/redis-telerelay\/redis-server\.sock$/m);
        assert.match(read('etc/telerelay/telerelay.conf'), /^database = sqlite:\/var\/lib\/telerelay\/archive\.db$/m);
    });

    it('installs units, users and directories that fit each other', () => {
        const unit = (name) => read(`usr/local/lib/systemd/system/${name}`);
        assert.match(unit('telerelay-wsd@.service'), /^ExecStart=\/usr\/local\/bin\/telerelay-wsd --config \/etc\/telerelay\/telerelay\.conf --name %i --listen unix:\/run\/telerelay\/%i\.sock$/m);
        assert.match(unit('telerelay-api.socket'), /^ListenStream=\/run\/telerelay\/api\.sock$/m);
        assert.match(unit('telerelay-archiver.service'), /^StateDirectory=telerelay$/m); // in it the archive, which the api only reads
        assert.match(unit('telerelay.target'), /^Wants=.* telerelay-archiver\.service /m);
        assert.match(unit('telerelay.target'), /telerelay-wsd@wsd-1\.service telerelay-wsd@wsd-2\.service telerelay-wsd@wsd-3\.service/);
        assert.match(read('usr/local/lib/tmpfiles.d/telerelay.conf'), /^d \/run\/telerelay 2750 telerelay www-data -$/m);
        assert.match(read('usr/local/lib/sysusers.d/telerelay.conf'), /^u telerelay /m);
        for (const name of fs.readdirSync(at('usr/local/lib/systemd/system'))) assert.doesNotMatch(unit(name), /@[A-Z_]+@/, name);
    });

    it('installs the dashboard and the site for it', () => {
        assert.ok(fs.existsSync(at('usr/local/share/telerelay/web/index.html.gz')));
        const site = read('etc/nginx/sites-available/telerelay.conf');
        assert.match(site, /server_name robots\.example\.org;/);
        assert.match(site, /ssl_certificate "\/etc\/letsencrypt\/live\/robots\.example\.org\/fullchain\.pem";/);
        assert.match(site, /root "\/usr\/local\/share\/telerelay\/web";/);
        assert.doesNotMatch(site, /@[A-Z_]+@|^#@|127\.0\.0\.1:/m);
        assert.equal(read('etc/nginx/snippets/telerelay-relays.conf').match(/^server /gm).length, 3);
        assert.match(read('etc/nginx/snippets/telerelay-origins.conf'), /^"https:\/\/robots\.example\.org" 1;$/m);
    });

    it('installs a Redis instance with the settings of the stack', () => {
        const ours = read('etc/redis/redis-telerelay.conf');
        const settings = (text) => text.split('\n').filter((line) => /^(port|save|append|maxmemory|client-output)/.test(line));
        assert.deepEqual(settings(ours), settings(fs.readFileSync(path.join(stack.dir, 'redis.conf'), 'utf8')));
        assert.match(ours, /^unixsocket "\/run\/redis-telerelay\/redis-server\.sock"$/m);
    });

    it('keeps what somebody has changed', () => {
        fs.appendFileSync(at('etc/telerelay/telerelay.conf'), '\n; mine\n');
        assert.match(install(), /kept .*telerelay\.conf, the new one is .*telerelay\.conf\.new/);
        assert.match(read('etc/telerelay/telerelay.conf'), /; mine/);
        assert.ok(fs.existsSync(at('etc/telerelay/telerelay.conf.new')));
    });

    it('has a site that redirects to HTTPS, insists on it, and knows its name', async () => {
        const [http, tls] = await freePorts(2);
        const dir = path.join(stack.parent, 'production');
        fs.mkdirSync(dir);
        sh('deploy/render-nginx', ['production', dir], {
            env: {
                HTTP_PORT: http, TLS_PORT: tls, SERVER_NAME: 'robots.example.org', ORIGINS: 'https://other.example.org', LOG: dir,
                TLS_CERT: path.join(stack.dir, 'tls/cert.pem'), TLS_KEY: path.join(stack.dir, 'tls/key.pem'), WEB_ROOT: at('usr/local/share/telerelay/web'),
                API_SOCK: path.join(stack.dir, 'api.sock'), RELAY_SOCKS: ['wsd-1', 'wsd-2'].map((name) => path.join(stack.dir, `${name}.sock`)).join('\n'),
            },
        });
        // On this machine alone, and in nginx's own terms as an ordinary user.
        const site = path.join(dir, 'sites-available/telerelay.conf');
        fs.writeFileSync(site, fs.readFileSync(site, 'utf8').replace(/^ *listen \[::\].*\n/gm, '').replace(/listen (\d+)/g, 'listen 127.0.0.1:$1'));
        const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join('\n');
        fs.writeFileSync(path.join(dir, 'nginx.conf'), `${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1; daemon off; pid ${dir}/pid;
            events { } http { include /etc/nginx/mime.types; ${temporary} include sites-available/*; }`);
        const nginx = spawn('nginx', ['-p', dir, '-e', `${dir}/error.log`, '-c', `${dir}/nginx.conf`], { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
        const ended = new Promise((resolve) => nginx.on('exit', resolve));
        const get = (target, headers = {}) => within(new Promise((resolve, reject) => {
            https.get({ host: '127.0.0.1', port: tls, path: target, rejectUnauthorized: false, agent: false, headers: { Host: 'robots.example.org', ...headers } },
                (response) => resolve(response.resume())).on('error', reject).on('upgrade', (response, socket) => {
                socket.destroy();
                resolve(response);
            });
        }), 5000, target);
        try {
            const plain = { ...stack, port: http, request: stack.request };
            const Host = 'robots.example.org';
            await until(() => plain.request('/', { headers: { Host } }), 5000, 'it answers');
            const redirect = await plain.request('/robot/controller/?a=b', { headers: { Host } });
            assert.equal(redirect.status, 301);
            assert.equal(redirect.headers.location, 'https://robots.example.org/robot/controller/?a=b');
            assert.equal((await plain.request('/', { headers: { Host: 'evil.example' } })).status, 421);

            const page = await get('/');
            assert.equal(page.statusCode, 200);
            assert.match(page.headers['strict-transport-security'], /^max-age=63072000$/);
            assert.match(page.headers['content-security-policy'], /^default-src 'none'/);
            assert.equal((await get('/api/devices')).statusCode, 200);
            assert.equal((await get('/', { Host: 'localhost' })).statusCode, 421);
            assert.equal((await get('/api/devices', { Origin: `https://robots.example.org:${tls}` })).statusCode, 200);
            assert.equal((await get('/api/devices', { Origin: 'https://other.example.org' })).statusCode, 200);
            assert.equal((await get('/api/devices', { Origin: 'https://evil.example' })).statusCode, 403);
            assert.equal((await get('/ws/telemetry/')).statusCode, 426);

            // As long as there are no accounts, only private networks come in.
            const access = path.join(dir, 'snippets/telerelay-access.conf');
            assert.match(fs.readFileSync(access, 'utf8'), /^allow 127\.0\.0\.1;\n[^]*^allow 10\.0\.0\.0\/8;\n[^]*^deny all;$/m);
            fs.writeFileSync(access, 'allow 192.0.2.1;\ndeny all;\n');
            nginx.kill('SIGHUP');
            // The old worker may still take some connections.
            for (const target of ['/', '/api/devices', '/readyz', '/assets/', '/nothing'])
                await until(async () => (await get(target)).statusCode === 403, 5000, `another network is refused ${target}`);
            const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
            await until(async () => (await get('/ws/telemetry/', upgrade)).statusCode === 403, 5000, 'another network is refused a WebSocket');
        } finally {
            nginx.kill('SIGTERM');
            await within(ended, 5000, 'nginx ended');
        }
    });
});
