/** Compiles TypeScript with swc: the programs to dist/, each package below packages/ to a dist/ of its own. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fail, print, readJson, resolvePath, root } from './paths.mjs';

/** Folders with programs. Those of tools/ and test/ are there for benchmarks and fault runs. */
export const programFolders = ['apps', 'libs', 'deploy', 'tools', 'test/chaos', 'test/bench', 'test/support'];

/** @returns the packages with sources of their own, as paths like `packages/contracts`. */
export function listPackages() {
  return readdirSync(resolvePath('packages'))
    .map((name) => `packages/${name}`)
    .filter((path) => existsSync(resolvePath(path, 'src')));
}

export const isSource = (path) => path.endsWith('.ts') && !/\.(spec|d)\.ts$/.test(path);

/** @returns all TypeScript files that are compiled, as paths below the root, with `/`. */
function listSources() {
  return [...programFolders, ...listPackages().map((path) => `${path}/src`)]
    .filter((folder) => existsSync(resolvePath(folder)))
    .flatMap((folder) => readdirSync(resolvePath(folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && isSource(entry.name) && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

/** A hash of the path, size and time of change of everything that the build reads. */
function getFingerprint() {
  const hash = createHash('sha256');
  const manifests = listPackages().map((path) => `${path}/package.json`);
  for (const path of [...listSources(), ...manifests, '.swcrc', 'package.json', 'package-lock.json']) {
    const { size, mtimeMs } = statSync(resolvePath(path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

const fingerprintFile = resolvePath('dist', '.fingerprint');

export function isBuilt() {
  return (
    existsSync(fingerprintFile) &&
    listPackages().every((path) => existsSync(resolvePath(path, 'dist'))) &&
    readFileSync(fingerprintFile, 'utf8') === getFingerprint()
  );
}

/**
 * @param suffix put after the name of each `dist` folder
 * @returns where a source is compiled to: apps/api/src/main.ts → dist/apps/api/src/main.js
 */
export function getTarget(source, suffix = '') {
  const path = source.replace(/\.ts$/, '.js');
  const [, folder, file] = /^(packages\/[^/]+)\/src\/(.*)$/.exec(path) ?? [];
  return folder ? `${folder}/dist${suffix}/${file}` : `dist${suffix}/${path}`;
}

/** swc is an installed package: it is loaded when something is compiled, not when this file is. */
function loadSwc() {
  const { $schema: _, ...options } = readJson(resolvePath('.swcrc'));
  return { swc: createRequire(resolvePath('package.json'))('@swc/core'), options };
}

/** Writes the compiled file and its source map. @throws Error with swc's message and the place in the source */
export async function compile(source, suffix = '') {
  const { swc, options } = loadSwc();
  const target = resolvePath(getTarget(source, suffix));
  const sourceFileName = relative(dirname(resolvePath(getTarget(source))), resolvePath(source));
  const filename = resolvePath(source);
  const { code, map } = await swc.transformFile(filename, {
    ...options,
    swcrc: false,
    sourceFileName: sourceFileName.replaceAll('\\', '/'),
  });
  mkdirSync(dirname(target), { recursive: true });
  const name = target.slice(dirname(target).length + 1);
  writeFileSync(target, `${code}//# sourceMappingURL=${name}.map\n`);
  writeFileSync(`${target}.map`, map);
}

/**
 * Builds beside the present build and then replaces it: a program that starts meanwhile finds a whole build, and a
 * failed build changes nothing.
 */
export async function build() {
  print('Building …');
  const fingerprint = getFingerprint();
  const outputs = ['', ...listPackages()].map((path) => resolvePath(path, 'dist'));
  for (const output of outputs) rmSync(`${output}.new`, { recursive: true, force: true });
  const results = await Promise.allSettled(listSources().map((source) => compile(source, '.new')));
  const failures = results.filter(({ status }) => status === 'rejected');
  if (failures.length > 0) {
    for (const { reason } of failures) print(reason.message);
    fail(`The build failed: ${failures.length} files do not compile, see above.`);
  }
  writeFileSync(resolvePath('dist.new', '.fingerprint'), fingerprint);
  for (const output of outputs) {
    rmSync(`${output}.old`, { recursive: true, force: true });
    if (existsSync(output)) renameSync(output, `${output}.old`);
    renameSync(`${output}.new`, output);
    rmSync(`${output}.old`, { recursive: true, force: true });
  }
}
