/** `credentials.json` follows the database and the address, and a new key can be made. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccessStore, Database } from '#database';
import { hashApiKey } from '../../apps/api/src/access/api-key.ts';
import { createAdminKey, createFirstWorkspace } from '../../apps/api/src/access/create-first-workspace.ts';
import { createMigratedDatabase } from '../support/migrated-database.ts';
import type { TestDatabase } from '../support/postgres.ts';

interface Deployment {
  readonly created: TestDatabase;
  readonly database: Database;
  readonly access: AccessStore;
}

let home: string;
let deployments: Deployment[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'millrace-credentials-'));
  deployments = [];
});
afterEach(async () => {
  for (const { database, created } of deployments) {
    await database.close();
    await created.drop();
  }
  await rm(home, { recursive: true, force: true });
});

async function deploy(): Promise<Deployment> {
  const created = await createMigratedDatabase();
  const database = await Database.connect({ url: created.url, poolMax: 2, applicationName: 'test' });
  const deployment = { created, database, access: new AccessStore(database) };
  deployments.push(deployment);
  return deployment;
}

const path = () => join(home, 'credentials.json');
const read = async () => JSON.parse(await readFile(path(), 'utf8')) as Record<string, string>;
const start = ({ access }: Deployment, port = 3000) =>
  createFirstWorkspace(access, home, `http://127.0.0.1:${port}`);
const opens = async ({ access }: Deployment, key = '') =>
  (await access.findByKeyHash(hashApiKey(key))) !== null;

test('a start with another database keeps the credentials of the first', async () => {
  const [first, second] = [await deploy(), await deploy()];
  expect(await start(first)).toBe('created');
  const own = await read();
  expect(await start(second)).toBe('created');
  const others = await read();
  expect([await opens(first, others['apiKey']), await opens(second, others['apiKey'])]).toEqual([
    false,
    true,
  ]);

  expect(await start(first)).toBe('found');
  expect(await read()).toEqual(own);
  expect(await start(second)).toBe('found');
  expect(await read()).toEqual(others);
  const names = await readdir(home);
  expect(names.sort()).toEqual(['credentials.json', `credentials.${own['apiKey']!.slice(0, 11)}.json`]);
  for (const name of names) expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
});

test('url follows the port, and the rest stays', async () => {
  const deployment = await deploy();
  await start(deployment, 4142);
  const before = await read();
  expect(await start(deployment, 4144)).toBe('found');
  expect(await read()).toEqual({ ...before, url: 'http://127.0.0.1:4144' });
});

test('without the file, the database is not given a second workspace, and a new key opens the first', async () => {
  const deployment = await deploy();
  await start(deployment);
  const { apiKey: lost } = await read();
  await rm(path());
  expect(await start(deployment)).toBe('missing');
  await expect(read()).rejects.toThrow(/ENOENT/);

  const key = await createAdminKey(deployment.access, home, 'http://127.0.0.1:3000');
  expect(await read()).toEqual({ url: 'http://127.0.0.1:3000', apiKey: key });
  const caller = await deployment.access.findByKeyHash(hashApiKey(key!));
  expect(caller).toMatchObject({ role: 'owner', operatesInstance: true });
  expect(await opens(deployment, lost)).toBe(true);
  expect(await start(deployment)).toBe('found');
});

test('a new key keeps the password of the admin', async () => {
  const deployment = await deploy();
  await start(deployment);
  const before = await read();
  const key = await createAdminKey(deployment.access, home, before['url']!);
  expect(await read()).toEqual({ ...before, apiKey: key });
});

test('a new key of a database never takes over the credentials of another', async () => {
  const [first, second] = [await deploy(), await deploy()];
  await start(first);
  const own = await read();
  await start(second);
  await rm(path());
  await start(first);
  await createAdminKey(second.access, home, 'http://127.0.0.1:3000');
  expect(await read()).not.toHaveProperty('adminPassword');
  expect(await start(first)).toBe('found');
  expect(await read()).toEqual(own);
});

test('a damaged file is replaced by a new key, and no key is made without a workspace', async () => {
  const deployment = await deploy();
  expect(await createAdminKey(deployment.access, home, 'http://127.0.0.1:3000')).toBeNull();
  await start(deployment);
  await writeFile(path(), '{"url": "http');
  expect(await start(deployment)).toBe('missing');
  expect(await createAdminKey(deployment.access, home, 'http://127.0.0.1:3000')).toMatch(/^mr_/);
  expect(await start(deployment)).toBe('found');
});

test('a start that ended between the rows and the file loses no key', async () => {
  const deployment = await deploy();
  await start(deployment);
  const credentials = await read();
  // The state of the folder before the rename.
  await writeFile(
    join(home, `credentials.${credentials['apiKey']!.slice(0, 11)}.json`),
    JSON.stringify(credentials),
  );
  await rm(path());
  expect(await start(deployment)).toBe('found');
  expect(await read()).toEqual(credentials);
});

test('of two processes that start at once, both find the credentials', async () => {
  const deployment = await deploy();
  const results = await Promise.all([start(deployment), start(deployment)]);
  expect(results.filter((result) => result === 'created')).toHaveLength(1);
  expect(await opens(deployment, (await read())['apiKey'])).toBe(true);
  expect(await readdir(home)).toEqual(['credentials.json']);
});
