/**
 * The first start makes a workspace, an admin and a key, and writes them to `credentials.json`. A draft of the file is
 * written before the rows: after a crash in between, the next start finds it and loses no key.
 */
import { randomBytes } from 'node:crypto';
import { hash, type Options } from '@node-rs/argon2';
import type { AccessStore } from '#database';
import { hashApiKey, mintApiKey } from './api-key.ts';
import { CredentialsFile } from './credentials-file.ts';

/** OWASP's choice for argon2id (which is the package's default): 19 MiB, two passes, one lane. */
const argon2id: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const adminEmail = 'admin@millrace.local';

const isKnownKeyOf = (access: AccessStore) => async (apiKey: string) =>
  (await access.findByKeyHash(hashApiKey(apiKey))) !== null;

/**
 * `created`: this call made the workspace. `found`: the data folder has the credentials of this database. `missing`: it has
 * none, e.g. because another machine made the workspace.
 */
export type FirstWorkspaceResult = 'created' | 'found' | 'missing';

export async function createFirstWorkspace(
  access: AccessStore,
  home: string,
  url: string,
): Promise<FirstWorkspaceResult> {
  const file = new CredentialsFile(home);
  const isKnownKey = isKnownKeyOf(access);
  if (await file.select(isKnownKey, url)) return 'found';
  if (await access.hasUsers()) return 'missing';
  const minted = mintApiKey();
  const adminPassword = randomBytes(18).toString('base64url');
  const passwordHash = await hash(adminPassword, argon2id);
  const draft = await file.prepare({ url, apiKey: minted.key, adminEmail, adminPassword });
  const isFirst = await access.createFirstWorkspace(
    { email: adminEmail, passwordHash },
    { name: 'First key', prefix: minted.prefix, hash: minted.hash },
  );
  if (isFirst) {
    await draft.publish();
    return 'created';
  }
  await draft.discard();
  return (await file.select(isKnownKey, url)) ? 'found' : 'missing';
}

/**
 * Makes one more key of the workspace that operates the instance, for its owner, and writes it to `credentials.json`. Other
 * keys stay valid.
 * @returns the key; null if there is no workspace yet
 */
export async function createAdminKey(access: AccessStore, home: string, url: string): Promise<string | null> {
  const file = new CredentialsFile(home);
  const isOfThisDatabase = await file.select(isKnownKeyOf(access), url);
  const previous = isOfThisDatabase ? await file.read() : null;
  const minted = mintApiKey();
  const date = new Date().toISOString().slice(0, 10);
  const key = { name: `Admin key of ${date}`, prefix: minted.prefix, hash: minted.hash };
  if (!(await access.createAdminKey(key))) return null;
  await file.write({ ...previous, url, apiKey: minted.key });
  return minted.key;
}
