/**
 * What npm's scripts run first, on whatever Node the machine has (20 or newer) and without any package: it sees to it
 * that the packages are installed and the build is fresh, then hands over to the target on our own Node.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...path) => join(root, ...path);
const node = at('node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');

/** What each script runs. `linked`: it ends in order when this process is gone, told by the IPC channel's end. */
const scripts = {
  start: { args: ['--enable-source-maps', 'dist/deploy/embedded/start.js'], linked: true },
  quickstart: { args: ['--enable-source-maps', 'dist/deploy/quickstart.js'], linked: true },
  dev: { args: ['--enable-source-maps', 'dist/deploy/dev.js'], linked: true },
  test: {
    args: [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
    ],
  },
  chaos: { args: ['--enable-source-maps', 'dist/test/chaos/main.js'] },
  bench: { args: ['--enable-source-maps', '--expose-gc', 'dist/test/bench/main.js'] },
  upstream: { args: ['--enable-source-maps', 'dist/test/support/upstream/main.js'] },
  build: null,
};

const built = ['apps', 'libs', 'deploy', 'test/chaos', 'test/bench', 'test/support'];
/** Workspace packages that are built into a `dist` of their own, so that their `exports` can name it. */
const packages = ['packages/contracts'];

function say(text) {
  process.stderr.write(`${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

// ── packages ──────────────────────────────────────────────────────────────────────────────────────────────────

const readJson = (path) => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
};

/** npm writes down what it installed when it is done: the same versions as the lock file's, and our Node runs. */
function areInstalled() {
  const wanted = readJson(at('package-lock.json'))?.packages;
  const found = readJson(at('node_modules', '.package-lock.json'))?.packages;
  if (!wanted || !found) return false;
  for (const [path, { version, optional, link }] of Object.entries(wanted)) {
    if (link && !existsSync(at(path))) return false;
    if (path === '' || link) continue;
    if (found[path] ? found[path].version !== version : !optional) return false;
  }
  return (
    spawnSync(node, ['--version']).stdout?.toString().trim() === `v${wanted['node_modules/node']?.version}`
  );
}

function npm(...args) {
  const path = process.env.npm_execpath;
  const [file, first] = path?.endsWith('.js') ? [process.execPath, [path]] : ['npm', []];
  // Our Node and the compiler are among the dev dependencies, which NODE_ENV=production would leave out.
  const options = ['--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  const done = spawnSync(file, [...first, ...args, ...options], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return {
    ok: done.status === 0,
    said: `${done.stdout ?? ''}${done.stderr ?? ''}${done.error?.message ?? ''}`,
  };
}

/**
 * `npm ci`; but npm 11 and 12 refuse a lock file without the binaries of every other platform, which a registry
 * that does not carry them can't write. `npm install` takes the same versions from it.
 */
function install() {
  say('Installing packages (once, a minute or so) …');
  let done = npm('ci');
  if (!done.ok && done.said.includes('EUSAGE')) done = npm('install', '--no-save');
  if (!done.ok) fail(`${done.said}\nnpm could not install the packages: see its lines above.`);
  if (!areInstalled()) {
    fail(
      'The packages do not match package-lock.json, or the Node they bring does not run: remove node_modules, run `npm install`, and see what it says.',
    );
  }
}

// ── build ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Of all that the build reads: every file's path, size and time of change. */
function fingerprint() {
  const hash = createHash('sha256');
  const add = (path) => {
    const { size, mtimeMs } = statSync(at(path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  };
  for (const folder of [...built, ...packages.map((path) => `${path}/src`)]) {
    if (!existsSync(at(folder))) continue;
    const entries = readdirSync(at(folder), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'));
    for (const file of files.map(({ parentPath, name }) => join(parentPath, name).slice(root.length)).sort())
      add(file);
  }
  for (const file of [
    '.swcrc',
    'package.json',
    'package-lock.json',
    ...packages.map((path) => `${path}/package.json`),
  ])
    add(file);
  return hash.digest('hex');
}

const stamp = at('dist', '.fingerprint');
const isBuilt = () =>
  existsSync(stamp) &&
  packages.every((path) => existsSync(at(path, 'dist'))) &&
  readFileSync(stamp, 'utf8') === fingerprint();

/** Built beside and swapped in: what runs from `dist` finds a whole build at any time, and a failed one changes nothing. */
function build() {
  say('Building …');
  const seen = fingerprint();
  const fresh = at('dist.new');
  const folders = built.filter((folder) => existsSync(at(folder)));
  compile(root, folders, fresh);
  for (const path of packages) compile(at(path, 'src'), ['.'], at(path, 'dist.new'));
  writeFileSync(join(fresh, '.fingerprint'), seen);
  for (const path of ['', ...packages]) replace(at(path, 'dist'));
}

/** Compiles `sources` (folders below `cwd`) into `target`. */
function compile(cwd, sources, target) {
  rmSync(target, { recursive: true, force: true });
  const options = ['-d', target, '--config-file', at('.swcrc'), '--ignore', '**/*.spec.ts', '--quiet'];
  const args = [at('node_modules/@swc/cli/bin/swc.js'), ...sources, ...options];
  const { status } = spawnSync(node, args, { cwd, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail('The build failed: see the lines above.');
}

/** Replaces `folder` by `folder.new`. */
function replace(folder) {
  rmSync(`${folder}.old`, { recursive: true, force: true });
  if (existsSync(folder)) renameSync(folder, `${folder}.old`);
  renameSync(`${folder}.new`, folder);
  rmSync(`${folder}.old`, { recursive: true, force: true });
}

// ── one at a time ─────────────────────────────────────────────────────────────────────────────────────────────

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Holds off a second script that was started at the same moment. A holder that was killed holds nothing. */
async function alone(work) {
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const lock = join(tmpdir(), `millrace-build-${process.getuid?.() ?? 'user'}-${name}.lock`);
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readJson(lock));
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > 1_000 && (!holder || !isAlive(holder) || age > 15 * 60_000)) rmSync(lock, { force: true });
    else await sleep(100);
  }
  const release = () => rmSync(lock, { force: true });
  process.on('exit', release);
  work();
  process.off('exit', release);
  release();
}

// ── hand over ─────────────────────────────────────────────────────────────────────────────────────────────────

/** The pids from our parent up to npm, when npm started us: npm puts a shell between. */
function lineToNpm() {
  if (!process.env.npm_lifecycle_event) return [];
  const line = [process.ppid];
  try {
    const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
    const [, name] = /\((.*)\)/s.exec(stat);
    if (/^(sh|dash|bash|ash|zsh)$/.test(name))
      line.push(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  } catch {
    // no /proc: the parent alone is watched
  }
  return line;
}

function handOver({ args, linked }, rest) {
  const env = { ...process.env, PATH: `${at('node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}` };
  const stdio = ['inherit', 'inherit', 'inherit', ...(linked ? ['ipc'] : [])];
  const child = spawn(node, [...args, ...rest], { cwd: root, env, stdio });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${node} can't be run: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));

  // npm killed with -9 tells nobody. Whoever else starts us (a service, nohup) may leave without stopping us.
  const above = lineToNpm();
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent && above.every(isAlive)) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  }, 500);
  if (above.length === 0) clearInterval(watch);
  else watch.unref();
}

const [script, ...rest] = process.argv.slice(2);
if (!Object.hasOwn(scripts, script ?? ''))
  fail(`usage: node deploy/bootstrap.mjs ${Object.keys(scripts).join('|')} [arguments]`);
if (!areInstalled()) await alone(() => areInstalled() || install());
if (!isBuilt()) await alone(() => isBuilt() || build());
const target = scripts[script];
if (target) handOver(target, rest);
