/** Shared by `npm start` and `npm run quickstart`: the settings, the built programs, and a clean stop on signals. */
import { fileURLToPath } from 'node:url';
import { loadSupervisorConfigOrExit, type Config } from '#config';
import type { SupervisorOutput } from './output.ts';
import type { Programs, Supervisor } from './supervisor.ts';

const getBuiltPath = (path: string): string => fileURLToPath(new URL(`../../apps/${path}`, import.meta.url));

export const builtPrograms: Programs = {
  migrate: getBuiltPath('api/src/migrate.js'),
  newKey: getBuiltPath('api/src/new-key.js'),
  api: getBuiltPath('api/src/main.js'),
  worker: getBuiltPath('worker/src/main.js'),
};

export function loadSettings(): Config {
  // Files, logs and credentials that are created from here on are readable by this user only.
  process.umask(0o077);
  // After the terminal closes, a write to stdout fails. The stop must still complete.
  process.stdout.on('error', () => {});
  return loadSupervisorConfigOrExit();
}

export const hasColor = (): boolean => process.stdout.isTTY && !process.env['NO_COLOR'];

/** One Ctrl-C arrives twice, from the terminal and from npm. A signal within this time is the same one. */
const duplicateSignalMs = 700;

/** The first signal stops all processes in order and exits with 0. A second signal kills them and exits with 130. */
export function stopOnSignals(supervisor: Supervisor, output: SupervisorOutput): void {
  let firstAt: number | null = null;
  let exitCode = 0;
  const handle = async (reason: string): Promise<void> => {
    const now = performance.now();
    if (firstAt === null) {
      firstAt = now;
      output.log(`${reason}: stopping`);
      await supervisor.stop();
      if (exitCode !== 0) return; // A second signal came meanwhile: its handler exits when all processes are killed.
      output.log('stopped');
      process.exit(exitCode);
    }
    if (now - firstAt < duplicateSignalMs) return;
    output.log(`${reason} again: killing all processes`, 'warn');
    exitCode = 130;
    await supervisor.kill();
    process.exit(exitCode);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => void handle(signal));
  if (process.connected) process.once('disconnect', () => void handle('the parent process has exited'));
}
