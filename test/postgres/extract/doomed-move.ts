/** Started by a test: moves what the environment says, until it is killed from outside. */
import { moveIntoSchema, type ExtractOrder } from '../../../src/postgres/extract/move.ts';

const order = JSON.parse(process.env['DOOMED_MOVE'] ?? '') as ExtractOrder;
await moveIntoSchema({ ...order, signal: new AbortController().signal });
