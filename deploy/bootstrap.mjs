/**
 * The start of every npm script. It runs on the machine's own Node (20 or newer) and uses no package: it installs what
 * is missing, builds what has changed, and then runs the script on Node 24.
 */
import { spawnSync } from 'node:child_process';
import { checkArguments, checkToolArguments } from './bootstrap/arguments.mjs';
import { build, isBuilt } from './bootstrap/build.mjs';
import { findNode, installNode } from './bootstrap/node-runtime.mjs';
import { getNpmCommand } from './bootstrap/npm.mjs';
import { areInstalled, install, isPruned, prune } from './bootstrap/packages.mjs';
import { fail, root } from './bootstrap/paths.mjs';
import { runExclusive } from './bootstrap/run-exclusive.mjs';
import { buildEnv, runProgram } from './bootstrap/run-program.mjs';

const sourceMaps = '--enable-source-maps';
const jest = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];

/**
 * `args`: the arguments of node. `build`: it needs dist/. `dev`: it needs the packages for development. `linked`: it
 * stops in order when this process ends. `steps`: npm scripts that run one after the other, up to the first failure.
 */
const scripts = {
  start: { build: true, linked: true, args: [sourceMaps, 'dist/deploy/embedded/start.js'] },
  quickstart: { build: true, linked: true, args: [sourceMaps, 'dist/deploy/quickstart.js'] },
  dev: { dev: true, build: true, linked: true, args: ['deploy/dev.mjs'] },
  build: { build: true },
  test: { dev: true, build: true, args: jest },
  'test:unit': { dev: true, args: [...jest, '--selectProjects', 'unit'] },
  check: {
    dev: true,
    steps: ['format', 'types', 'lint', 'imports', 'dead', 'words', 'settings']
      .map((name) => `check:${name}`)
      .concat('test:unit'),
  },
  chaos: { dev: true, build: true, args: [sourceMaps, 'dist/test/chaos/main.js'] },
  bench: { dev: true, build: true, args: [sourceMaps, '--expose-gc', 'dist/test/bench/main.js'] },
  upstream: { dev: true, build: true, args: [sourceMaps, 'dist/test/support/upstream/main.js'] },
  /** `run FILE …`: a TypeScript file without decorators, as it is. */
  run: { dev: true, args: [] },
};

function runSteps(node, steps) {
  const { file, args, shell } = getNpmCommand();
  for (const step of steps) {
    const { status } = spawnSync(file, [...args, 'run', '--silent', step], {
      cwd: root,
      env: buildEnv(node),
      stdio: 'inherit',
      shell,
    });
    if (status !== 0) process.exit(status ?? 1);
  }
}

const [name, ...rest] = process.argv.slice(2);
const script = Object.hasOwn(scripts, name ?? '') ? scripts[name] : null;
if (!script) fail(`Usage: node deploy/bootstrap.mjs ${Object.keys(scripts).join('|')} [arguments]`);
checkArguments(name, rest);

const withDev = script.dev ?? process.env.NODE_ENV !== 'production';
const isReady = () => areInstalled(script.dev ?? false) && isPruned() && findNode() !== null;
if (!isReady()) {
  await runExclusive(() => {
    if (!areInstalled(script.dev ?? false)) install(withDev);
    if (!isPruned()) prune();
    if (findNode() === null) installNode();
  });
}
checkToolArguments(name, rest, findNode(), jest);
if (script.build && !isBuilt()) await runExclusive(async () => isBuilt() || (await build()));
if (script.steps) runSteps(findNode(), script.steps);
if (script.args) runProgram(findNode(), [...script.args, ...rest], script);
