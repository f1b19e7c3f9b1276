/** Preloaded into workers: each call of the sandbox, and each line that is kept, goes to a file that survives `kill -9`. */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import { callLogPath } from '../upstream-calls.ts';

const path = callLogPath(process.env['MILLRACE_HOME']!);
const write = (step: string, lines: readonly number[]) =>
  appendFileSync(path, `${step} ${lines.join(',')}\n`);

subscribe('millrace:sandbox.call', (message) => {
  const { step, inputs } = message as { step: string; inputs: string[] };
  // The number stands at the end of every line's text.
  write(
    step,
    inputs.map((input) => Number(input.slice(input.lastIndexOf(' ') + 1))),
  );
});
subscribe('millrace:lines.checkpointed', (lines) => write('kept', lines as number[]));
