/** Started by a test, which then kills it: two tools that would run for an hour. The argument marks them. */
import { startChain } from '../../src/process/chain.ts';

const [, , canary = ''] = process.argv;
const sleeper = { file: 'sh', args: ['-c', `sleep 3600; : ${canary}`] };
startChain([sleeper, sleeper], { stdin: 'ignore', stdout: 'ignore', signal: new AbortController().signal });
process.stdout.write('started\n');
