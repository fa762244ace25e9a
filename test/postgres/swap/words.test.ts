import { expect, it } from '@jest/globals';
import { swapStatements } from '../../../src/postgres/swap/words.ts';
import { calm } from './facts.ts';

it('a swap is told in four steps, with the SQL of each', () => {
  const steps = swapStatements({ ...calm.asked, properties: 'live' }, [
    'ALTER DATABASE "gatus_new" CONNECTION LIMIT 5',
  ]);
  expect(steps.map(({ step }) => step)).toEqual(['close', 'end sessions', 'rename', 'open']);
  expect(steps.map(({ what }) => what)).toEqual([
    "'gatus' (OID 1001) and 'gatus_new' (OID 2002) take no connections any more",
    "every session in the two is ended; if that and the next step take longer than 30000 ms, 'gatus' is opened again as it was",
    "in one transaction 'gatus_new' gets what hangs on the database and not on its content, 'gatus' becomes 'gatus_old', and 'gatus_new' becomes 'gatus'",
    "'gatus' takes connections again; 'gatus_old' stays closed, with everything it had",
  ]);
  expect(steps[2]?.statements).toEqual([
    'BEGIN',
    'ALTER DATABASE "gatus_new" CONNECTION LIMIT 5',
    'ALTER DATABASE "gatus" RENAME TO "gatus_old"',
    'ALTER DATABASE "gatus_new" RENAME TO "gatus"',
    'COMMIT',
  ]);
});
