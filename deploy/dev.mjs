/**
 * `npm run dev`: runs the platform, compiles a source when it is saved, and restarts the API and the workers when all
 * saved sources are compiled.
 */
import { fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { watch } from 'chokidar';
import { compile, getTarget, isSource, listPackages } from './bootstrap/build.mjs';
import { print, resolvePath, root } from './bootstrap/paths.mjs';

/** Saves within this time lead to one restart. */
const settleMs = 300;

const supervisor = fork(resolvePath('dist/deploy/embedded/start.js'), {
  execArgv: ['--enable-source-maps'],
  stdio: 'inherit',
});
let isRunning = false;
supervisor.on('message', () => (isRunning = true));

const changed = new Set();
let timer;

async function compileChanged() {
  const sources = [...changed];
  changed.clear();
  const results = await Promise.allSettled(sources.map((source) => compile(source)));
  const failures = results.filter(({ status }) => status === 'rejected');
  for (const { reason } of failures) print(reason.message);
  if (failures.length === 0 && isRunning && supervisor.connected) supervisor.send('reload');
}

const folders = ['apps', 'libs', ...listPackages().map((path) => `${path}/src`)];
watch(folders, { cwd: root, ignoreInitial: true }).on('all', (event, path) => {
  const source = path.replaceAll('\\', '/');
  if (!isSource(source)) return;
  if (event === 'unlink') rmSync(resolvePath(getTarget(source)), { force: true });
  else changed.add(source);
  clearTimeout(timer);
  timer = setTimeout(() => void compileChanged(), settleMs);
});

const stop = (signal) => void supervisor.kill(signal);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
process.once('disconnect', () => stop('SIGTERM'));
supervisor.on('exit', (code) => process.exit(code ?? 1));
