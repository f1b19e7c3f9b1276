/** The version in the nearest package.json above this file, both in the sources and in the build. */
import { existsSync, readFileSync } from 'node:fs';

function findVersion(from: URL): string {
  const file = new URL('package.json', from);
  if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }).version ?? '';
  const parent = new URL('../', from);
  return parent.href === from.href ? '' : findVersion(parent);
}

export const version = findVersion(new URL('./', import.meta.url));
