/** Every route of the running router declares who may call it, and refuses a request without a key unless it is public. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { permissionNames } from '@millrace/contracts';
import { migrateQueues } from '#queues';
import { createApp, type CreatedApp } from '../../apps/api/src/start-api.ts';
import { createMigratedDatabase } from '../support/migrated-database.ts';
import type { TestDatabase } from '../support/postgres.ts';

const publicRoutes = ['/health/live', '/health/ready', '/metrics', '/v1/objects/*'];

let database: TestDatabase;
let home: string;
let created: CreatedApp;

beforeAll(async () => {
  database = await createMigratedDatabase();
  const { url } = database;
  await migrateQueues({ url });
  home = await mkdtemp(join(tmpdir(), 'millrace-route-access-'));
  Object.assign(process.env, { DATABASE_URL: url, MILLRACE_HOME: home, LOG_LEVEL: 'silent' });
  created = await createApp();
  await created.app.init();
});
afterAll(async () => {
  await created?.app.close();
  await database?.drop();
  if (home) await rm(home, { recursive: true, force: true });
});

test('the router has the routes of every feature, and each declares a known permission or is public', () => {
  const { routes } = created;
  const features = new Set(routes.map(({ url }) => url.split('/').slice(0, 3).join('/')));
  for (const feature of ['/v1/batches', '/v1/chat', '/v1/events', '/v1/files', '/v1/models', '/v1/tasks'])
    expect(features).toContain(feature);
  for (const { requirement } of routes) expect(['public', ...permissionNames]).toContain(requirement);
});

test('the public routes are exactly these', () => {
  const { routes } = created;
  const urls = routes.filter(({ requirement }) => requirement === 'public').map(({ url }) => url);
  expect([...new Set(urls)].sort()).toEqual(publicRoutes);
});

test('a route that only reads requires a permission that only reads', () => {
  for (const { method, requirement } of created.routes) {
    const reads = method === 'GET' || method === 'HEAD';
    if (requirement !== 'public') expect(/:(read|inspect)$/.test(requirement)).toBe(reads);
  }
});

test('without a key every other route answers 401 with the same error', async () => {
  const fastify: FastifyInstance = created.app.getHttpAdapter().getInstance();
  const answers = new Set<string>();
  for (const { method, url, requirement } of created.routes) {
    if (requirement === 'public' || method === 'HEAD') continue;
    const path = url.replace('*', 'x').replaceAll(/:\w+/g, 'x');
    const response = await fastify.inject({ method: method as 'GET', url: path });
    expect([method, url, response.statusCode]).toEqual([method, url, 401]);
    const { error = null, ...problem } = response.json<Record<string, unknown>>();
    const { message = problem['detail'], code = problem['code'] } = (error ?? {}) as Record<string, unknown>;
    answers.add(JSON.stringify({ message, code }));
  }
  expect([...answers]).toEqual([
    JSON.stringify({
      message: 'Send your API key as `Authorization: Bearer mr_…`.',
      code: 'invalid_api_key',
    }),
  ]);
});
