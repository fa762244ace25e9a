import { expect, it } from '@jest/globals';
import { jobsFor, Slots } from '../../../src/postgres/archive/slots.ts';

it.each([
  ['one database alone gets every job', 100, 100, 4, 4, 4],
  ['a large one leaves a job for those that wait', 1000, 1010, 4, 4, 3],
  ['two of one size share', 500, 1000, 4, 4, 2],
  ['the last one gets what is free', 500, 500, 4, 2, 2],
  ['a small one gets one', 1, 1000, 4, 4, 1],
  ['one job is one job', 1000, 1010, 1, 1, 1],
  ['an empty one gets one', 0, 0, 4, 4, 1],
])('%s', (_, bytes, remaining, jobs, free, expected) => {
  expect(jobsFor(bytes, remaining, jobs, free)).toBe(expected);
});

it('slots are never more than there are, and whoever waits gets what is given back', async () => {
  const slots = new Slots(2);
  let held = 0;
  let most = 0;
  const work = async () => {
    const taken = await slots.take(() => 1);
    held += taken;
    most = Math.max(most, held);
    await new Promise((resolve) => setImmediate(resolve));
    held -= taken;
    slots.give(taken);
  };
  await Promise.all(Array.from({ length: 20 }, work));
  expect([most, held]).toEqual([2, 0]);
});
