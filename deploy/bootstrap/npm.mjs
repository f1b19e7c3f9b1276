/** Runs npm, whichever version started this script. */
import { spawnSync } from 'node:child_process';
import { root } from './paths.mjs';

const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];

/**
 * @returns how to start npm: npm names its own JavaScript file in `npm_execpath`. Without it (a script that was started
 *   by hand) npm is found on PATH, on Windows as `npm.cmd`, which only a shell can start.
 */
export function getNpmCommand() {
  const path = process.env.npm_execpath;
  if (path?.endsWith('.js')) return { file: process.execPath, args: [path], shell: false };
  return { file: 'npm', args: [], shell: process.platform === 'win32' };
}

/** @returns whether npm succeeded, and everything that it printed. */
export function runNpm(args, cwd = root) {
  const { file, args: first, shell } = getNpmCommand();
  const result = spawnSync(file, [...first, ...args, ...quiet], {
    cwd,
    shell,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return {
    ok: result.status === 0,
    output: `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`,
  };
}

/**
 * `npm ci`. npm 11 and 12 refuse a lock file that lacks a binary package of another platform, which happens where the
 * registry does not carry it. `npm install` then installs the same versions.
 */
export function installLocked(args, cwd = root) {
  const result = runNpm(['ci', ...args], cwd);
  if (result.ok || !result.output.includes('EUSAGE')) return result;
  return runNpm(['install', '--no-save', ...args], cwd);
}
