/** The schema: made from nothing, brought forward under rows that are there, and read whole by its entities. */
import { jest } from '@jest/globals';
import pg from 'pg';
import { Database } from '#database';
import { Unavailable } from '#domain';
import { entities } from '../../libs/database/entities/index.ts';
import { SnakeCaseNaming } from '../../libs/database/entities/snake-case-naming.ts';
import { migrations } from '../../libs/database/migrations/index.ts';
import { createDatabase, getServerUrl, type TestDatabase } from '../support/postgres.ts';
import { createStoresFixture, buildChunkResult } from './stores/stores-fixture.ts';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';

let server: TestDatabase;
let database: Database;
beforeEach(async () => {
  server = await createDatabase();
  database = await Database.connect({ url: server.url, poolMax: 2, applicationName: 'migrations-test' });
});
afterEach(async () => {
  await database.close();
  await server.drop();
});

const names = () => migrations.map(({ name }) => name);

async function sourceOf(url: string, more: (new () => MigrationInterface)[] = []): Promise<DataSource> {
  const source = new DataSource({
    type: 'postgres',
    url,
    entities,
    namingStrategy: new SnakeCaseNaming(),
    migrations: [...migrations, ...more],
    migrationsTableName: 'migrations',
  });
  return source.initialize();
}

test('an empty database is brought to the newest schema, and a second run has nothing to do', async () => {
  expect(await database.listUnknownMigrations()).toEqual([]);
  expect(await database.migrate()).toEqual(names());
  expect(await database.migrate()).toEqual([]);
  expect(await database.listUnknownMigrations()).toEqual([]);
});

test('two processes that migrate at once end with one schema', async () => {
  const other = await Database.connect({ url: server.url, poolMax: 2, applicationName: 'migrations-test' });
  try {
    const both = await Promise.all([database.migrate(), other.migrate()]);
    expect(both.flat()).toEqual(names());
    const applied = await database.rows<{ name: string }>('select name from migrations order by id');
    expect(applied.map(({ name }) => name)).toEqual(names());
  } finally {
    await other.close();
  }
});

/** As the next release might bring one: a column that every row there is must get. */
class Later9999999999999 implements MigrationInterface {
  readonly name = 'Later9999999999999';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table batches add column note text not null default 'none'`);
    await runner.query(`update batches set note = status`);
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table batches drop column note');
  }
}

class Failing9999999999999 implements MigrationInterface {
  readonly name = 'Failing9999999999999';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table batches add column half text');
    await runner.query('select 1 / 0');
  }
  async down(): Promise<void> {}
}

describe('a database with rows in it', () => {
  test('is brought forward with them, and is then told from one that this release knows', async () => {
    const house = await createStoresFixture();
    try {
      const workspaceId = await house.workspace();
      const batchId = await house.planned(workspaceId, 2);
      const [delivery] = await house.chunks.dispatch(1, 10);
      const chunk = (await house.chunks.claim(delivery!, 'worker-a'))!;
      await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: 1 }));
      const before = await house.batches.get(workspaceId, batchId);

      const [{ url }] = (await house.database.rows<{ url: string }>('select current_database() as url')) as [
        { url: string },
      ];
      const address = new URL(getServerUrl());
      address.pathname = `/${url}`;
      const newer = await sourceOf(address.href, [Later9999999999999]);
      const applied = await newer.runMigrations({ transaction: 'each' });
      expect(applied.map(({ name }) => name)).toEqual(['Later9999999999999']);
      expect(await newer.query('select id, note from batches')).toEqual([
        { id: batchId, note: 'in_progress' },
      ]);
      await newer.destroy();

      expect(await house.database.listUnknownMigrations()).toEqual(['Later9999999999999']);
      // This release still reads what it knows of.
      expect(await house.batches.get(workspaceId, batchId)).toEqual(before);
    } finally {
      await house.close();
    }
  });

  test('keeps its schema when a migration fails half-way', async () => {
    await database.migrate();
    const source = await sourceOf(server.url, [Failing9999999999999]);
    const said = jest.spyOn(console, 'log').mockReturnValue();
    try {
      await expect(source.runMigrations({ transaction: 'each' })).rejects.toThrow('division by zero');
      const columns = await database.rows(
        `select 1 from information_schema.columns where table_name = 'batches' and column_name = 'half'`,
      );
      expect(columns).toEqual([]);
      expect(await database.listUnknownMigrations()).toEqual([]);
    } finally {
      said.mockRestore();
      await source.destroy();
    }
  });
});

test('every table has an entity, and every entity has the columns of its table: all, and of their type', async () => {
  await database.migrate();
  const source = await sourceOf(server.url);
  try {
    for (const { tableName, target } of source.entityMetadatas) {
      await expect(source.getRepository(target).find()).resolves.toEqual([]);
      expect(tableName).toBeTruthy();
    }
    const columns = await database.rows<{ name: string; type: string; nullable: boolean }>(
      `select table_name || '.' || column_name as name, data_type as type, is_nullable = 'YES' as nullable
       from information_schema.columns where table_schema = 'public' and table_name <> 'migrations'`,
    );
    const described = source.entityMetadatas.flatMap(({ tableName, columns: ofEntity }) =>
      ofEntity.map((column) => ({
        name: `${tableName}.${column.databaseName}`,
        type: column.isArray ? 'ARRAY' : (types[column.type as string] ?? (column.type as string)),
        nullable: column.isNullable,
      })),
    );
    const sorted = <T extends { name: string }>(rows: T[]) => rows.sort((a, b) => (a.name < b.name ? -1 : 1));
    expect(sorted(described)).toEqual(sorted(columns));
  } finally {
    await source.destroy();
  }
});

/** TypeORM's short names for what the catalogue spells out. */
const types: Record<string, string> = { int: 'integer', timestamptz: 'timestamp with time zone' };

test('going back leaves nothing', async () => {
  await database.migrate();
  const source = await sourceOf(server.url);
  try {
    for (const _ of migrations) await source.undoLastMigration({ transaction: 'each' });
    const tables = await database.rows<{ name: string }>(
      `select tablename as name from pg_tables where schemaname = 'public'`,
    );
    expect(tables.map(({ name }) => name)).toEqual(['migrations']);
  } finally {
    await source.destroy();
  }
});

test('a server that is not there is unavailable, not a riddle', async () => {
  const url = new URL(getServerUrl());
  url.port = '1';
  const connecting = Database.connect({ url: url.href, poolMax: 2, applicationName: 'migrations-test' });
  await expect(connecting).rejects.toBeInstanceOf(Unavailable);
});

test('a connection that the server ends is replaced', async () => {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await database.ping();
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'migrations-test'`,
  );
  await client.end();
  for (let tries = 0; tries < 3; tries++) await database.ping().catch(() => undefined);
  await expect(database.ping()).resolves.toBeUndefined();
});
