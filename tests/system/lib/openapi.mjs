// docs/openapi.yaml, and whether an answer is what it says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import YAML from 'yaml';

const FILE = fileURLToPath(new URL('../../../docs/openapi.yaml', import.meta.url));
const METHODS = ['get', 'put', 'post', 'delete', 'patch'];

// Headers that HTTP, nginx or every answer has.
const USUAL = new Set(['connection', 'content-length', 'content-type', 'date', 'server', 'transfer-encoding', 'x-content-type-options']);

export class Contract {
    #ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true });
    #compiled = new Map();

    static load(file = FILE) {
        const contract = new Contract();
        contract.document = YAML.parse(fs.readFileSync(file, 'utf8'));
        addFormats(contract.#ajv);
        contract.#ajv.addSchema(contract.document, 'api:');
        return contract;
    }

    // What a JSON pointer "#/a/b" leads to; undefined for nothing.
    at(pointer) {
        return pointer.split('/').slice(1).reduce((node, key) => node?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], this.document);
    }

    // The node itself, or what it refers to.
    resolve(node) {
        return node?.$ref ? this.resolve(this.at(node.$ref)) : node;
    }

    // With its members, where it is: {…, at}.
    #located(pointer) {
        const node = this.at(pointer);
        return node?.$ref ? this.#located(node.$ref) : node && { ...node, at: pointer };
    }

    *operations() {
        for (const [path, item] of Object.entries(this.document.paths))
            for (const method of METHODS.filter((name) => item[name])) {
                const at = `#/paths/${path.replaceAll('/', '~1')}/${method}`;
                const parameters = (item[method].parameters ?? []).map((_, i) => this.#located(`${at}/parameters/${i}`));
                yield { ...item[method], name: `${method.toUpperCase()} ${path}`, method, path, at, parameters };
            }
    }

    response(operationAt, status) {
        return this.#located(`${operationAt}/responses/${status}`);
    }

    compile(pointer) {
        if (!this.#compiled.has(pointer)) this.#compiled.set(pointer, this.#ajv.compile({ $ref: `api:${pointer}` }));
        return this.#compiled.get(pointer);
    }

    explain(check) {
        return check.errors.slice(0, 3).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`).join('; ');
    }

    // Asserts that an answer of lib/api.mjs's ask() is one that the operation may give; returns its media type. What its
    // body is to be checked as: `body`, else what its type makes of it.
    check(operation, answer, { head = false } = {}) {
        const what = `${operation.name} → ${answer.status}`;
        const response = this.response(operation.at, answer.status);
        assert.ok(response, `${what} is not documented: ${answer.text.slice(0, 200)}`);
        this.#checkHeaders(what, response, answer.headers);
        const type = answer.headers['content-type']?.split(';')[0];
        if (!response.content) {
            assert.equal(answer.text, '', `${what} has a body`);
            return undefined;
        }
        const media = response.content[type];
        assert.ok(media, `${what}: ${type} is not documented`);
        if (head) {
            assert.equal(answer.text, '', 'HEAD has no body');
            return type;
        }
        const check = this.compile(`${response.at}/content/${type.replaceAll('/', '~1')}/schema`);
        for (const body of bodies(type, answer.text))
            assert.ok(check(body), `${what} ${type}: ${JSON.stringify(body).slice(0, 300)}: ${check(body) || this.explain(check)}`);
        return type;
    }

    #checkHeaders(what, response, headers) {
        const documented = Object.fromEntries(Object.entries(response.headers ?? {}).map(([name, header]) => [name.toLowerCase(), this.resolve(header)]));
        for (const name of Object.keys(headers)) assert.ok(USUAL.has(name) || documented[name], `${what}: header ${name} is not documented`);
        for (const [name, header] of Object.entries(documented)) {
            if (headers[name] === undefined) {
                assert.ok(!header.required, `${what}: no header ${name}`);
                continue;
            }
            const check = this.#ajv.compile({ ...header.schema });
            const value = header.schema.type === 'integer' ? Number(headers[name]) : headers[name];
            assert.ok(check(value), `${what}: header ${name}: ${headers[name]}`);
        }
    }
}

// What a schema describes of a body: the JSON, each line of NDJSON, or the text.
function bodies(type, text) {
    if (/ndjson/.test(type)) return text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
    return [/json/.test(type) ? JSON.parse(text) : text];
}
