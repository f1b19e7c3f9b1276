/** The fence is taken out of every commit, and workers are killed: the checker has to find what that breaks. */
import type { Check, Fault } from '../fault.ts';
import { workerKill } from './worker-kill.ts';

/** What breaks without it, by the beginnings of the checks' names; of each line, one at least. */
const mustBreak = [
  ['2 the counters say the same'],
  ['1 each accepted line has exactly one record', '1 each record is its own line', '3 no custom_id twice'],
  ['a late commit of a lost attempt changes nothing'],
];

export const fenceProof: Fault = {
  name: 'fence-proof',
  title: 'worker-kill with the fence taken out, which the checker must notice',
  // The fence is Postgres's, whatever carries the queue.
  backends: ['embedded'],
  async run(options) {
    const { checks, tables, figures } = await workerKill.run({ ...options, short: true, withoutFence: true });
    const broken = checks.filter(({ holds }) => !holds);
    const proofs = mustBreak.map((starts): Check => {
      const found = broken.find(({ name }) => starts.some((start) => name.startsWith(start)));
      return {
        name: `found broken: ${starts.join(', or ')}`,
        holds: !!found,
        found: found?.found ?? 'it held',
      };
    });
    return { checks: proofs, tables, figures };
  },
};
