/**
 * Finds the Node that runs the programs: the machine's own if it is Node 24, otherwise the one of deploy/node-runtime
 * (a package of 120 MB), which is installed on first use. It stays outside of node_modules: `npm ci` does not remove
 * it, and a machine with Node 24 never downloads it.
 */
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installLocked } from './npm.mjs';
import { fail, print, readJson, resolvePath } from './paths.mjs';

/** The major version that the tests run on. */
const major = 24;
const folder = resolvePath('deploy', 'node-runtime');

const isOwnNodeRight = () => process.versions.node.startsWith(`${major}.`);

/** @returns the path of the installed Node, or null. */
function findInstalled() {
  const { optionalDependencies } = readJson(join(folder, 'package.json'));
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const path = join(folder, 'node_modules', name);
    const manifest = readJson(join(path, 'package.json'));
    // npm installs the package of this platform alone.
    if (manifest?.version === version && existsSync(join(path, manifest.bin.node)))
      return join(path, manifest.bin.node);
  }
  return null;
}

/** @returns the path of a Node 24, or null when it is not installed yet. */
export function findNode() {
  return isOwnNodeRight() ? process.execPath : findInstalled();
}

export function installNode() {
  print(`Installing Node ${major} (once; this machine has Node ${process.versions.node}) …`);
  const result = installLocked(['--include=optional'], folder);
  const node = findInstalled();
  if (!node) {
    fail(
      `${result.output}\nNode ${major} could not be installed for ${process.platform}-${process.arch}: ` +
        `install Node ${major} on this machine, then start again.`,
    );
  }
  // 67 MB of C++ headers.
  rmSync(join(dirname(dirname(node)), 'include'), { recursive: true, force: true });
}
