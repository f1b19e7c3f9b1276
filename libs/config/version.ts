/** The version that this code calls itself, from the package.json above it: in the sources as in the build. */
import { existsSync, readFileSync } from 'node:fs';

function find(from: URL): string {
  const file = new URL('package.json', from);
  if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }).version ?? '';
  const above = new URL('../', from);
  return above.href === from.href ? '' : find(above);
}

export const version = find(new URL('./', import.meta.url));
