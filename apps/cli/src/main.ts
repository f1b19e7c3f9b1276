#!/usr/bin/env node
/** `millrace COMMAND`: each command is a file that parses its own options; this one only finds it. */
import { listen, listenUsage } from './listen.ts';
import { UsageError } from './usage-error.ts';

const commands: Record<string, (args: string[]) => Promise<void>> = { listen };

const [name = '', ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
try {
  if (!command) throw new UsageError(`Usage:\n  ${listenUsage}`);
  await command(args);
} catch (error) {
  const text = error instanceof UsageError ? error.message : String((error as Error).stack ?? error);
  process.stderr.write(`${text}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
