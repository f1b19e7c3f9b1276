/** A test's own look into the platform's database, and its hand in it where a test must move time. */
import pg from 'pg';

export interface SqlClient {
  rows<Row extends Record<string, unknown>>(text: string, parameters?: unknown[]): Promise<Row[]>;
  end(): Promise<void>;
}

export async function connectSql(url: string): Promise<SqlClient> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    async rows<Row extends Record<string, unknown>>(text: string, parameters: unknown[] = []) {
      return (await client.query<Row>(text, parameters)).rows;
    },
    end: () => client.end(),
  };
}

/**
 * Chunks are cut by a model's measured speed, so that what a test sees of them would hang on what ran before it, and
 * how fast: after this they are cut as a new model's are, twenty to a batch or fifty lines each.
 */
export async function expireMeasuredSpeeds(sql: SqlClient): Promise<void> {
  await sql.rows(`update attempts set started_at = started_at - interval '2 days' where outcome is not null`);
}
