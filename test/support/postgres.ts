/**
 * One database per suite, on the server of `MILLRACE_TEST_POSTGRES_URL`: the embedded one that global-setup starts, unless
 * the variable is set.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  readonly url: string;
  /** Drops the database. @throws if a connection to it is still open: a suite must close its connections. */
  drop(): Promise<void>;
}

export function getServerUrl(): string {
  const url = process.env['MILLRACE_TEST_POSTGRES_URL'];
  if (!url) throw new Error('MILLRACE_TEST_POSTGRES_URL is not set: run the suite with `npm test`');
  return url;
}

export function buildDatabaseUrl(name: string): string {
  const url = new URL(getServerUrl());
  url.pathname = `/${name}`;
  return url.href;
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

/** Creates an empty database, or a copy of `template`. */
export async function createDatabase({ template }: { template?: string } = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await runOnServer(template ? `create database ${name} template ${template}` : `create database ${name}`);
  return {
    url: buildDatabaseUrl(name),
    async drop() {
      // The backend of a closed client takes a moment to exit; that of a leaked client never exits.
      for (let attempts = 0; ; attempts++) {
        try {
          await runOnServer(`drop database ${name}`);
          return;
        } catch (error) {
          if (attempts === 40) {
            await runOnServer(`drop database ${name} with (force)`);
            throw new Error(`a connection to ${name} was left open`, { cause: error });
          }
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    },
  };
}
