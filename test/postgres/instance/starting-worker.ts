/** A worker that starts an instance and then is killed: argv[2] is a file with startInstance's input. */
import { readFileSync } from 'node:fs';
import { startInstance, type InstanceInput } from '../../../src/postgres/instance/start.ts';

const input = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as InstanceInput;
const { pid } = await startInstance(input, { signal: new AbortController().signal });
process.stdout.write(`${pid.toString()}\n`);
setInterval(() => undefined, 60_000);
