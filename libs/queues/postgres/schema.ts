/** The Postgres schema of BullMQ's tables, and the migrations that create them. */
import { quoteSchemaName, runMigrations } from 'bullmq';
import pg from 'pg';

/** @throws Error on a name that is not a plain identifier: the name becomes part of an SQL statement. */
export const quoteSchema = (schema: string): string => quoteSchemaName(schema);

/**
 * Sets the search path, since BullMQ's SQL names its tables without a schema, and turns off synchronous commit. Jobs that
 * a crash of the server removes are requeued by the reconcile job. With synchronous commit every job would wait for the
 * fsync of the one before it: a NOTIFY holds a lock on the whole database until its commit is done.
 */
export function buildConnectionConfig(
  url: string,
  schema: string,
): { connectionString: string; options: string } {
  const address = new URL(url);
  const givenOptions = address.searchParams.get('options');
  // An option in the URL would override the one that is set here.
  address.searchParams.delete('options');
  const ourOptions = `-c search_path=${quoteSchema(schema)} -c synchronous_commit=off`;
  const options = givenOptions ? `${givenOptions} ${ourOptions}` : ourOptions;
  return { connectionString: address.href, options };
}

/**
 * Creates or updates BullMQ's schema, in one transaction under an advisory lock: any number of processes may call it at
 * once. Does not change tables of a newer, compatible version.
 *
 * @returns the schema's version.
 */
export async function migrateQueues({
  url,
  schema = 'bullmq',
}: {
  readonly url: string;
  readonly schema?: string;
}): Promise<number> {
  const client = new pg.Client({ connectionString: url, application_name: 'millrace-queues-migrate' });
  await client.connect();
  try {
    return await runMigrations(client, schema);
  } finally {
    await client.end();
  }
}
