/**
 * The first start makes a workspace, an admin and a key, and writes them to `credentials.json` (mode 0600). The
 * file is written under another name before the rows and renamed after them: a crash in between loses no key.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hash, type Options } from '@node-rs/argon2';
import type { AccessStore } from '#database';
import { hashApiKey, mintApiKey } from './api-key.ts';

export interface Credentials {
  readonly url: string;
  readonly apiKey: string;
  readonly adminEmail: string;
  readonly adminPassword: string;
}

/** OWASP's choice for argon2id (which is the package's default): 19 MiB, two passes, one lane. */
const argon2id: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export const credentialsPath = (home: string) => join(home, 'credentials.json');

/** @returns whether this call created the workspace. */
export async function createFirstWorkspace(access: AccessStore, home: string, url: string): Promise<boolean> {
  const path = credentialsPath(home);
  const draft = `${path}.draft`;
  await finishInterrupted(access, path, draft);
  const minted = mintApiKey();
  const credentials: Credentials = {
    url,
    apiKey: minted.key,
    adminEmail: 'admin@millrace.local',
    adminPassword: randomBytes(18).toString('base64url'),
  };
  const passwordHash = await hash(credentials.adminPassword, argon2id);
  await write(draft, credentials);
  const isFirst = await access.createFirstWorkspace(
    { email: credentials.adminEmail, passwordHash },
    { name: 'First key', prefix: minted.prefix, hash: minted.hash },
  );
  if (isFirst) await rename(draft, path);
  else await rm(draft, { force: true });
  return isFirst;
}

/** A draft whose key is in the database was left by a start that crashed before the rename. */
async function finishInterrupted(access: AccessStore, path: string, draft: string): Promise<void> {
  const text = await readFile(draft, 'utf8').catch(() => null);
  if (text === null) return;
  const { apiKey } = JSON.parse(text) as Credentials;
  if (await access.findByKeyHash(hashApiKey(apiKey))) await rename(draft, path);
}

async function write(path: string, credentials: Credentials): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(credentials, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}
