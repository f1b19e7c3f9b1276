/**
 * A database of its own for each suite, on the server of `MILLRACE_TEST_POSTGRES_URL` (the embedded one that
 * global-setup starts unless the variable names another).
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  readonly url: string;
  /** Drops the database. Fails when a connection to it is still open: a suite must close what it opened. */
  drop(): Promise<void>;
}

export function getServerUrl(): string {
  const url = process.env['MILLRACE_TEST_POSTGRES_URL'];
  if (!url) throw new Error('MILLRACE_TEST_POSTGRES_URL is not set: run the suite with `npm test`');
  return url;
}

async function runOnServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: getServerUrl() });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export async function createDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await runOnServer(`create database ${name}`);
  const url = new URL(getServerUrl());
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async drop() {
      // A closed client's backend takes a moment to leave; a leaked one never does.
      for (let tries = 0; ; tries++) {
        try {
          await runOnServer(`drop database ${name}`);
          return;
        } catch (error) {
          if (tries === 40) {
            await runOnServer(`drop database ${name} with (force)`);
            throw new Error(`a connection to ${name} was left open`, { cause: error });
          }
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    },
  };
}
