/**
 * A migrated database for each integration suite, copied from a template that is migrated once per server: a copy takes a
 * fraction of the time of all migrations.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { Database } from '#database';
import { createDatabase, buildDatabaseUrl, getServerUrl, type TestDatabase } from './postgres.ts';

const migrationsFolder = new URL('../../libs/database/migrations/', import.meta.url);

let template: Promise<string> | undefined;

export async function createMigratedDatabase(): Promise<TestDatabase> {
  template ??= createTemplate();
  return createDatabase({ template: await template });
}

/** @returns the name of the template; it exists already if another suite has created it on this server. */
async function createTemplate(): Promise<string> {
  const name = `millrace_template_${await hashMigrations()}`;
  const client = new pg.Client({ connectionString: getServerUrl() });
  await client.connect();
  try {
    // Suites run in parallel: the first creates the template, the others wait here.
    await client.query(`select pg_advisory_lock(hashtext('millrace.template'))`);
    const { rows } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rows.length > 0) return name;
    // Migrated under another name, so that a run that was killed leaves no half-migrated template.
    const draft = `${name}_draft`;
    await client.query(`drop database if exists ${draft}`);
    await client.query(`create database ${draft}`);
    const database = await Database.connect({
      url: buildDatabaseUrl(draft),
      poolMax: 2,
      applicationName: 'test-template',
    });
    await database.migrate().finally(() => database.close());
    await client.query(`alter database ${draft} rename to ${name}`);
    return name;
  } finally {
    await client.end();
  }
}

/** A server that is kept between runs must not serve the template of other migrations. */
async function hashMigrations(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await readdir(migrationsFolder)).sort()) {
    hash.update(await readFile(new URL(file, migrationsFolder)));
  }
  return hash.digest('hex').slice(0, 12);
}
