/** The credentials of the data folder: one file for each database that Millrace has run on. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface StoredCredentials {
  readonly apiKey: string;
  readonly adminEmail?: string;
  readonly adminPassword?: string;
}

export const getCredentialsPath = (home: string): string => join(home, 'credentials.json');

/** @returns null if there is no such file, or it is damaged. */
export function readCredentials(path: string): StoredCredentials | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as StoredCredentials;
  } catch {
    return null;
  }
}

/** @returns the keys of all databases. */
export function listStoredKeys(home: string): Set<string> {
  let names: string[] = [];
  try {
    names = readdirSync(home);
  } catch {
    // The first start creates the folder.
  }
  const files = names.filter((name) => /^credentials\.(mr_\w+\.)?json$/.test(name));
  return new Set(files.flatMap((name) => readCredentials(join(home, name))?.apiKey ?? []));
}
