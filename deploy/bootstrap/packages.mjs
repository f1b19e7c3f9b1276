/** Checks that node_modules matches package-lock.json, installs it where it does not, and removes unused files. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installLocked } from './npm.mjs';
import { fail, print, readJson, resolvePath } from './paths.mjs';

const modules = resolvePath('node_modules');
/** npm writes the versions that it installed here when it is done. */
const installedLock = join(modules, '.package-lock.json');

/** @param withDev false: the packages for development may be missing, as after `npm ci --omit=dev`. */
export function areInstalled(withDev) {
  const expected = readJson(resolvePath('package-lock.json'))?.packages;
  const installed = readJson(installedLock)?.packages;
  if (!expected || !installed) return false;
  return Object.entries(expected).every(([path, { version, optional, dev, devOptional, link }]) => {
    if (path === '') return true;
    if (installed[path]) return link ? existsSync(resolvePath(path)) : installed[path].version === version;
    return optional || (!withDev && (dev || devOptional));
  });
}

export function install(withDev) {
  print('Installing packages (once, about a minute) …');
  const result = installLocked([withDev ? '--include=dev' : '--omit=dev', '--include=optional']);
  if (!result.ok) fail(`${result.output}\nnpm could not install the packages: see its output above.`);
  if (areInstalled(withDev)) return;
  fail(
    'node_modules still differs from package-lock.json: remove node_modules, run `npm ci`, and read what it prints.',
  );
}

// ── unused files ──────────────────────────────────────────────────────────────────────────────────────────────
// Sizes in MB on Linux x64. With them node_modules has 784 MB (587 without development packages).

/** Copies of a package's code that nothing here loads. */
const unusedFolders = [
  'typeorm/browser', // 15: for browsers
  'openai/src', // 7: TypeScript sources beside the compiled code; so are the next four
  'zod/src', // 4
  '@huggingface/transformers/src', // 4
  'rxjs/src', // 1
  '@huggingface/inference/src', // 1
  '@img/sharp-wasm32', // 14: npm 10 installs it beside sharp's native library
];

/** 243: onnxruntime-node holds its native library for every platform. */
const nativeLibraries = 'onnxruntime-node/bin/napi-v6';

/** Raise it when these rules change, so that packages installed before are pruned again. */
const rulesVersion = 2;
const pruneMarker = join(modules, '.millrace-pruned');
const getPruneState = () => `${rulesVersion} ${statSync(installedLock).mtimeMs}`;

export function isPruned() {
  return existsSync(pruneMarker) && readFileSync(pruneMarker, 'utf8') === getPruneState();
}

/** Deletes what no program of this repository reads. npm does not check the files of an installed package again. */
export function prune() {
  for (const folder of unusedFolders) remove(join(modules, folder));
  for (const platform of listFolder(join(modules, nativeLibraries))) {
    for (const cpu of listFolder(join(modules, nativeLibraries, platform))) {
      if (platform !== process.platform || cpu !== process.arch)
        remove(join(modules, nativeLibraries, platform, cpu));
    }
  }
  // 94: source maps. Node ignores a missing one, and stack traces then name the compiled file.
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.name.endsWith('.map')) remove(join(entry.parentPath, entry.name));
  }
  writeFileSync(pruneMarker, getPruneState());
}

const listFolder = (path) => (existsSync(path) ? readdirSync(path) : []);
const remove = (path) => rmSync(path, { recursive: true, force: true });
