/** Where BullMQ's tables live in Postgres: their schema, and the migrations that make them. */
import { quoteSchemaName, runMigrations } from 'bullmq';
import pg from 'pg';

/** @throws Error on a name that is not a plain identifier; it is written into SQL. */
export const quoteSchema = (schema: string): string => quoteSchemaName(schema);

/**
 * BullMQ's SQL names its tables without a schema: each connection is pinned to the right one. Its commits don't wait
 * for the disk: what a crash of the server takes from the queue, the sweep rebuilds. With them a NOTIFY, which holds a
 * lock of the whole database until its commit is over, would make every job wait for the fsync of the one before.
 */
export function buildConnectionConfig(
  url: string,
  schema: string,
): { connectionString: string; options: string } {
  const address = new URL(url);
  const already = address.searchParams.get('options');
  // An option in the address would win over the one that is set here.
  address.searchParams.delete('options');
  const pinned = `-c search_path=${quoteSchema(schema)} -c synchronous_commit=off`;
  return { connectionString: address.href, options: already ? `${already} ${pinned}` : pinned };
}

/**
 * Creates BullMQ's schema or brings it forward, in one transaction under a lock of its own: any number of
 * processes may call it at once. Leaves tables of a newer, compatible version alone.
 *
 * @returns the schema's version.
 */
export async function migrateQueues(at: { readonly url: string; readonly schema?: string }): Promise<number> {
  const client = new pg.Client({ connectionString: at.url, application_name: 'millrace-queues-migrate' });
  await client.connect();
  try {
    return await runMigrations(client, at.schema ?? 'bullmq');
  } finally {
    await client.end();
  }
}
