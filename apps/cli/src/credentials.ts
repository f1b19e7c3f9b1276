/** Finds the address of the API and a key: from options, then from the environment, then from the data folder. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './usage-error.ts';

export interface Credentials {
  readonly url: string;
  readonly apiKey: string;
}

export interface CredentialSettings {
  readonly MILLRACE_HOME: string;
  readonly MILLRACE_API_KEY?: string | undefined;
  readonly MILLRACE_URL?: string | undefined;
}

/** @throws UsageError when the address or the key is not set anywhere. */
export function findCredentials(
  options: { url?: string | undefined; key?: string | undefined },
  { MILLRACE_HOME, MILLRACE_API_KEY, MILLRACE_URL }: CredentialSettings,
): Credentials {
  // The first start of the API writes this file.
  const path = join(MILLRACE_HOME, 'credentials.json');
  const stored = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Partial<Credentials>) : {};
  const url = options.url ?? MILLRACE_URL ?? stored.url;
  const apiKey = options.key ?? MILLRACE_API_KEY ?? stored.apiKey;
  if (url && apiKey) return { url, apiKey };
  throw new UsageError(
    `No ${url ? 'API key' : 'API address'} found. Set --url and MILLRACE_API_KEY, or run the command where ${path} exists.`,
  );
}
