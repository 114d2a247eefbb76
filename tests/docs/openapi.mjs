// Checks docs/openapi.yaml by itself, for `make lint`: it is OpenAPI 3.1, its schemas compile, its examples are what
// they say, nothing is defined twice or for nothing, and the build reads it as this does. Whether the api does what it
// says: tests/system/api_openapi.test.mjs.
import { spawnSync } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Contract } from '../system/lib/openapi.mjs';

const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);
const contract = Contract.load();
const { document } = contract;

const { valid, errors } = await new Validator().validate(structuredClone(document));
if (!valid) for (const { instancePath, message } of errors) fault(instancePath, message);

// As PyYAML reads it (YAML 1.1): what the api serves.
const built = spawnSync('docs/openapi-json', { encoding: 'utf8' });
if (built.status !== 0) fault('docs/openapi-json', built.stderr);
else if (!isDeepStrictEqual(JSON.parse(built.stdout), document)) fault('docs/openapi-json', 'reads the document differently; quote what YAML 1.1 takes for something else');

// References lead somewhere, and every component is used.
const used = new Set();
(function walk(node, where) {
    if (node === null || typeof node !== 'object') return;
    if (typeof node.$ref === 'string') {
        used.add(node.$ref);
        if (contract.resolve(node) === undefined) fault(where, `nothing is at ${node.$ref}`);
    }
    for (const [key, value] of Object.entries(node)) walk(value, `${where}/${key}`);
})(document, '#');
for (const [kind, all] of Object.entries(document.components))
    for (const name of Object.keys(all)) if (!used.has(`#/components/${kind}/${name}`)) fault(`components/${kind}/${name}`, 'is not used');

function example(where, schemaAt, holder) {
    const examples = [holder.example, ...Object.values(holder.examples ?? {}).map(({ value }) => value)].filter((value) => value !== undefined);
    const check = contract.compile(schemaAt);
    for (const value of examples) if (!check(value)) fault(where, `example ${JSON.stringify(value).slice(0, 80)}: ${contract.explain(check)}`);
}

const ids = new Set();
const tags = new Set(document.tags.map(({ name }) => name));
for (const operation of contract.operations()) {
    const { name, operationId, summary, at } = operation;
    if (!summary) fault(name, 'has no summary');
    if (!operationId || ids.has(operationId)) fault(name, 'has no operationId of its own');
    ids.add(operationId);
    for (const tag of operation.tags ?? []) if (!tags.has(tag)) fault(name, `tag ${tag} is not declared`);
    for (const parameter of operation.parameters) {
        if (!parameter.schema) fault(`${name} ${parameter.name}`, 'has no schema');
        else example(`${name} ${parameter.name}`, `${parameter.at}/schema`, parameter);
    }
    for (const status of ['400', '405']) if (!operation.responses[status]) fault(name, `does not say what a ${status} is like`);
    for (const [status, response] of Object.entries(operation.responses)) {
        const { content = {}, at: responseAt } = contract.response(at, status);
        if (status >= '400' && status !== '503' && !content['application/problem+json']) fault(`${name} ${status}`, 'is no problem');
        if (!response.description && !response.$ref) fault(`${name} ${status}`, 'has no description');
        for (const [type, media] of Object.entries(content)) {
            if (!media.schema) fault(`${name} ${status} ${type}`, 'has no schema');
            else example(`${name} ${status} ${type}`, `${responseAt}/content/${type.replaceAll('/', '~1')}/schema`, media);
        }
    }
}

for (const text of faults) console.log(`docs/openapi.yaml: ${text}`);
process.exit(faults.length > 0 ? 1 : 0);
