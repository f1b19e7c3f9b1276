/** Where the platform is and the key to it: as options say, else as the first start left them in the data folder. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCliConfig } from '#config';
import { UsageError } from './usage-error.ts';

export interface Credentials {
  readonly url: string;
  readonly apiKey: string;
}

/** @throws Unusable where neither says. */
export function findCredentials(given: { url?: string; key?: string }): Credentials {
  const { MILLRACE_HOME, MILLRACE_API_KEY, MILLRACE_URL } = loadCliConfig();
  const path = join(MILLRACE_HOME, 'credentials.json');
  const kept = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Partial<Credentials>) : {};
  const url = given.url ?? MILLRACE_URL ?? kept.url;
  const apiKey = given.key ?? MILLRACE_API_KEY ?? kept.apiKey;
  if (url && apiKey) return { url, apiKey };
  throw new UsageError(
    `No ${url ? 'API key' : 'address'}: give --url and MILLRACE_API_KEY, or run it where ${path} is.`,
  );
}
