/** Paths of the repository, and JSON files read without failing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** @returns the absolute path of a path below the repository's root. */
export const resolvePath = (...path) => join(root, ...path);

/** @returns the parsed file, or null when it is missing or is not JSON. */
export function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

export function print(text) {
  process.stderr.write(`${text}\n`);
}

export function fail(text) {
  print(text);
  process.exit(1);
}
