/** The secret for MILLRACE_SECRET if it is unset: created once in the data folder and shared by all processes of the machine. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from './config-error.ts';
import { minSecretLength } from './settings/services.ts';

export function loadOrCreateSecret(home: string): string {
  const path = join(home, 'secret');
  const found = readSecret(home);
  if (found !== null) return found;
  mkdirSync(home, { recursive: true });
  // Write a temporary file and link it into place: if two processes do this at once, both read the same secret.
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return readSecret(home)!;
}

/** @returns null if the file does not exist. @throws ConfigError if it cannot be used: a new secret would end all signed URLs. */
export function readSecret(home: string): string | null {
  const path = join(home, 'secret');
  let secret: string;
  try {
    secret = readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    // ENOTDIR: the data folder cannot exist either, and the code that creates it reports that.
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new ConfigError([`MILLRACE_SECRET: not set, and the file ${path} can't be read (${code})`]);
  }
  if (secret.length >= minSecretLength) return secret;
  throw new ConfigError([
    `MILLRACE_SECRET: not set, and the file ${path} is damaged: it must have ${minSecretLength} characters or more. Restore it from a backup`,
  ]);
}
