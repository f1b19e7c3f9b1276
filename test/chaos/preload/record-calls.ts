/** Preloaded into workers: appends each sandbox call and each checkpointed line to a file, which survives SIGKILL. */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import { callLogPath } from '../upstream-calls.ts';

const path = callLogPath(process.env['MILLRACE_HOME']!);
const write = (step: string, lines: readonly number[]) =>
  appendFileSync(path, `${step} ${lines.join(',')}\n`);

subscribe('millrace:sandbox.call', (message) => {
  const { step, inputs } = message as { step: string; inputs: string[] };
  // The text of a line ends with its number.
  write(
    step,
    inputs.map((input) => Number(input.slice(input.lastIndexOf(' ') + 1))),
  );
});
subscribe('millrace:lines.checkpointed', (lines) => write('checkpointed', lines as number[]));
