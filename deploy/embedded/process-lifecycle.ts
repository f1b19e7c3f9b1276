/** What `npm start` and `npm run quickstart` share: settings, the built programs, and signals turned into an orderly end. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadConfigOrExit, type Config } from '#config';
import type { SupervisorOutput } from './output.ts';
import type { Programs, Supervisor } from './supervisor.ts';

const getBuiltPath = (path: string): string => fileURLToPath(new URL(`../../apps/${path}`, import.meta.url));

export const builtPrograms: Programs = {
  migrate: getBuiltPath('api/src/migrate.js'),
  api: getBuiltPath('api/src/main.js'),
  worker: getBuiltPath('worker/src/main.js'),
};

export function loadSettings(): Config {
  // What is made from here on is its owner's alone: files, logs, credentials.
  process.umask(0o077);
  if (existsSync('.env')) process.loadEnvFile('.env');
  // A closed terminal must not keep us from stopping what we started.
  process.stdout.on('error', () => {});
  return loadConfigOrExit();
}

export const hasColor = (): boolean => process.stdout.isTTY && !process.env['NO_COLOR'];

/** One Ctrl-C arrives more than once: from the terminal, and passed on by npm. */
const duplicateSignalMs = 700;

/** The first signal stops all in order and ends the process with 0, a second one does it at once. */
export function stopOnSignals(supervisor: Supervisor, output: SupervisorOutput): void {
  let first: number | null = null;
  let exitCode = 0;
  const end = async (why: string): Promise<void> => {
    const now = performance.now();
    if (first === null) {
      first = now;
      output.log(`${why}: stopping`);
      await supervisor.stop();
      if (exitCode !== 0) return; // told again meanwhile: who stops at once has not yet told all of them
      output.log('stopped');
      process.exit(exitCode);
    }
    if (now - first < duplicateSignalMs) return;
    output.log(`${why} again: stopping at once`, 'warn');
    exitCode = 130;
    await supervisor.kill();
    process.exit(exitCode);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(signal));
  if (process.connected) process.once('disconnect', () => void end('what started us is gone'));
}
