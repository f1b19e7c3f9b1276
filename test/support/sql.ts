/** A test's own connection to the platform's database, to read rows and to change times. */
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
 * Makes all measured speeds too old to count. The size of chunks depends on a model's measured speed, and so on the tests
 * that ran before. After this call chunks have the size for a new model: twenty per batch, or fifty lines each.
 */
export async function expireMeasuredSpeeds(sql: SqlClient): Promise<void> {
  await sql.rows(`update attempts set started_at = started_at - interval '2 days' where outcome is not null`);
}
