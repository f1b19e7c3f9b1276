/** Runs worker-kill with the attempt fence removed from every chunk commit. The checker must find the violations. */
import type { Check, Fault } from '../fault.ts';
import { workerKill } from './worker-kill.ts';

/** Beginnings of the names of the checks that must fail; at least one of each row. */
const mustFail = [
  ['2 the counters match'],
  [
    '1 each accepted line has exactly one record',
    '1 each record has its own line',
    '3 no custom_id occurs twice',
  ],
  ['a late commit of a lost attempt changes nothing'],
];

export const fenceProof: Fault = {
  name: 'fence-proof',
  title: 'worker-kill without the attempt fence; the checker must find it',
  // The fence is in Postgres, for both queue backends.
  backends: ['embedded'],
  async run(options) {
    const { checks, tables, figures } = await workerKill.run({ ...options, short: true, withoutFence: true });
    const failed = checks.filter(({ holds }) => !holds);
    const proofs = mustFail.map((starts): Check => {
      const found = failed.find(({ name }) => starts.some((start) => name.startsWith(start)));
      return {
        name: `fails: ${starts.join(', or ')}`,
        holds: !!found,
        found: found?.found ?? 'no failure',
      };
    });
    return { checks: proofs, tables, figures };
  },
};
