#!/usr/bin/env node
/** The `millrace` command line. Each command has a file of its own. */
import { Command, CommanderError } from 'commander';
import { loadCliConfig, version } from '#config';
import { createListenCommand } from './listen-command.ts';
import { UsageError } from './usage-error.ts';

/** Exit code for wrong arguments and missing settings. Other errors exit with 1. */
const usageExitCode = 2;

const program = new Command('millrace')
  .description('Commands for a Millrace deployment.')
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(capitalize(text.replace(/^error: /, ''))) })
  .showHelpAfterError();
program.addCommand(createListenCommand(loadCliConfig).copyInheritedSettings(program));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** @returns the exit code. Commander has already printed its own errors. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
  const text = error instanceof UsageError ? error.message : String((error as Error).stack ?? error);
  process.stderr.write(`${text}\n`);
  return error instanceof UsageError ? usageExitCode : 1;
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
