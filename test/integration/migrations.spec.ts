/** The schema: migrated from an empty database and from one with rows, and compared with the entities. */
import { jest } from '@jest/globals';
import pg from 'pg';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { ChunkStore, Database, TaskStore } from '#database';
import { Unavailable } from '#domain';
import { entities } from '../../libs/database/entities/index.ts';
import { SnakeCaseNaming } from '../../libs/database/entities/snake-case-naming.ts';
import { migrationNames, migrations } from '../../libs/database/migrations/index.ts';
import { createDatabase, getServerUrl, type TestDatabase } from '../support/postgres.ts';
import { insertOldRows, migratedRows, readMigratedRows } from './migrations-fixture.ts';
import { buildChunkResult, createStoresFixture } from './stores/stores-fixture.ts';

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

async function connectWith(
  url: string,
  list: readonly (new () => MigrationInterface)[] = migrations,
): Promise<DataSource> {
  const source = new DataSource({
    type: 'postgres',
    url,
    entities,
    namingStrategy: new SnakeCaseNaming(),
    migrations: [...list],
    migrationsTableName: 'migrations',
  });
  return source.initialize();
}

test('an empty database is migrated to the newest schema, and a second run does nothing', async () => {
  expect(await database.listUnknownMigrations()).toEqual([]);
  expect(await database.migrate()).toEqual(migrationNames);
  expect(await database.migrate()).toEqual([]);
  expect(await database.listUnknownMigrations()).toEqual([]);
});

test('two processes that migrate at once apply each migration once', async () => {
  const other = await Database.connect({ url: server.url, poolMax: 2, applicationName: 'migrations-test' });
  try {
    const both = await Promise.all([database.migrate(), other.migrate()]);
    expect(both.flat()).toEqual(migrationNames);
    const applied = await database.rows<{ name: string }>('select name from migrations order by id');
    expect(applied.map(({ name }) => name)).toEqual(migrationNames);
  } finally {
    await other.close();
  }
});

/** A migration of a later release: it adds a column and sets it in every row. */
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

describe('a database with rows', () => {
  test('keeps them in a later release’s migration, which this release then reports as unknown', async () => {
    const fixture = await createStoresFixture();
    try {
      const workspaceId = await fixture.createWorkspace();
      const batchId = await fixture.createPlannedBatch(workspaceId, 2);
      const [queued] = await fixture.chunkQueue.dispatch(1, 10);
      const chunk = (await fixture.chunks.claim(queued!, 'worker-a'))!;
      await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: 1 }));
      const before = await fixture.batches.get(workspaceId, batchId);

      const newer = await connectWith(fixture.url, [...migrations, Later9999999999999]);
      const applied = await newer.runMigrations({ transaction: 'each' });
      expect(applied.map(({ name }) => name)).toEqual(['Later9999999999999']);
      expect(await newer.query('select id, note from batches')).toEqual([
        { id: batchId, note: 'in_progress' },
      ]);
      await newer.destroy();

      expect(await fixture.database.listUnknownMigrations()).toEqual(['Later9999999999999']);
      // This release can still read the columns that it knows.
      expect(await fixture.batches.get(workspaceId, batchId)).toEqual(before);
    } finally {
      await fixture.close();
    }
  });

  test('at the schema before the names changed keeps its values under the new names', async () => {
    const source = await connectWith(server.url, migrations.slice(0, -2));
    try {
      await source.runMigrations({ transaction: 'each' });
      await insertOldRows(source);
      expect(await database.listUnknownMigrations()).toEqual([]);
      expect(await database.migrate()).toEqual(['PlainNames1763720000000', 'Lanes1763730000000']);
      expect(await readMigratedRows(source)).toEqual(migratedRows);

      const task = await new TaskStore(database).get('ws_1', 'task_1');
      expect(task).toMatchObject({
        generation: 2,
        progress: { percent: 50, minPercent: 12, publishedPercent: 50, publishedAt: '2026-01-01T00:00:00Z' },
      });
      const chunks = new ChunkStore(database);
      expect(await chunks.claim({ batchId: 'batch_1', chunk: 0, generation: 1 }, 'w')).toBeNull();
      // Its second attempt is lost, after the split in its first: only that one counts.
      expect(await chunks.claim({ batchId: 'batch_1', chunk: 0, generation: 2 }, 'w')).toMatchObject({
        attempt: 3,
        lostAttempts: 1,
      });
    } finally {
      await source.destroy();
    }
  });

  test('keeps its schema when a migration fails after its first statement', async () => {
    await database.migrate();
    const source = await connectWith(server.url, [...migrations, Failing9999999999999]);
    const log = jest.spyOn(console, 'log').mockReturnValue();
    try {
      await expect(source.runMigrations({ transaction: 'each' })).rejects.toThrow('division by zero');
      const columns = await database.rows(
        `select 1 from information_schema.columns where table_name = 'batches' and column_name = 'half'`,
      );
      expect(columns).toEqual([]);
      expect(await database.listUnknownMigrations()).toEqual([]);
    } finally {
      log.mockRestore();
      await source.destroy();
    }
  });
});

test('every table has an entity with all of its columns and their types', async () => {
  await database.migrate();
  const source = await connectWith(server.url);
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

/** TypeORM's type names, where they differ from the catalog's. */
const types: Record<string, string> = { int: 'integer', timestamptz: 'timestamp with time zone' };

test('reverting all migrations leaves no table', async () => {
  await database.migrate();
  const source = await connectWith(server.url);
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

test('connecting to a server that does not exist throws Unavailable', async () => {
  const url = new URL(getServerUrl());
  url.port = '1';
  const connecting = Database.connect({ url: url.href, poolMax: 2, applicationName: 'migrations-test' });
  await expect(connecting).rejects.toBeInstanceOf(Unavailable);
});

test('a connection that the server terminates is replaced', async () => {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await database.ping();
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'migrations-test'`,
  );
  await client.end();
  for (let attempt = 0; attempt < 3; attempt++) await database.ping().catch(() => undefined);
  await expect(database.ping()).resolves.toBeUndefined();
});
