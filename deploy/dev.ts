/** `npm run dev`: the platform from sources that are compiled as they change, its processes started anew after each. */
import { fork, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watch } from 'chokidar';

const root = fileURLToPath(new URL('../../', import.meta.url));
const swc = fileURLToPath(new URL('../../node_modules/@swc/cli/bin/swc.js', import.meta.url));

/** Compiles `sources` (folders below `cwd`) into `cwd`/`target`, again at each save. */
const compile = (cwd: string, sources: readonly string[], target: string) =>
  spawn(
    process.execPath,
    [
      ...[swc, ...sources, '-d', target, '--config-file', join(root, '.swcrc')],
      ...['--ignore', '**/*.spec.ts', '--watch', '--quiet'],
    ],
    { cwd: join(root, cwd), stdio: ['ignore', 'inherit', 'inherit'] },
  );

const compilers = [
  compile('.', ['apps', 'libs', 'deploy'], 'dist'),
  compile('packages/contracts/src', ['.'], '../dist'),
];
const supervisor = fork(new URL('./embedded/start.js', import.meta.url), { stdio: 'inherit' });

let timer: NodeJS.Timeout | undefined;
let isRunning = false;
supervisor.on('message', () => (isRunning = true));
watch(['dist/apps', 'dist/libs', 'packages/contracts/dist'], { cwd: root, ignoreInitial: true }).on(
  'all',
  () => {
    clearTimeout(timer);
    // A save of several files is one restart.
    timer = setTimeout(() => isRunning && supervisor.connected && supervisor.send('reload'), 300);
  },
);

const end = (signal: NodeJS.Signals): void => void supervisor.kill(signal);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
process.once('disconnect', () => end('SIGTERM'));
supervisor.on('exit', (code) => {
  for (const compiler of compilers) compiler.kill();
  process.exit(code ?? 1);
});
