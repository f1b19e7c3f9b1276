/** Runs a program on our Node, passes signals on to it, and ends with its exit code. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname } from 'node:path';
import { fail, resolvePath, root } from './paths.mjs';
import { isAlive } from './run-exclusive.mjs';

/** How often it is checked that npm still runs. */
const watchMs = 500;

/** The environment for a program: `node` and the tools of the installed packages come first on PATH. */
export function buildEnv(node) {
  const folders = [dirname(node), resolvePath('node_modules', '.bin'), process.env.PATH ?? ''];
  return { ...process.env, PATH: folders.join(delimiter) };
}

/** The pids from our parent up to npm, when npm started us: npm puts a shell between. */
function listAncestors() {
  if (!process.env.npm_lifecycle_event) return [];
  const pids = [process.ppid];
  try {
    const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
    const [, name] = /\((.*)\)/s.exec(stat);
    if (/^(sh|dash|bash|ash|zsh)$/.test(name))
      pids.push(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  } catch {
    // No /proc on this system: only the parent is watched.
  }
  return pids;
}

/**
 * Starts `node args` and never returns.
 * @param linked the program has an IPC channel to this process and stops in order when the channel closes
 */
export function runProgram(node, args, { linked = false } = {}) {
  const stdio = ['inherit', 'inherit', 'inherit', ...(linked ? ['ipc'] : [])];
  const child = spawn(node, args, { cwd: root, env: buildEnv(node), stdio });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${node} cannot be started: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));

  // A `kill -9` of npm, or of its shell, sends us no signal. Another parent (a service, nohup) may end without us.
  const ancestors = listAncestors();
  if (ancestors.length === 0) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent && ancestors.every(isAlive)) return;
    clearInterval(timer);
    child.kill('SIGTERM');
  }, watchMs);
  timer.unref();
}
