/**
 * The one connection to Postgres of a process, and the two scopes that statements run in: a workspace's
 * (`withWorkspace`) or, for duties and claims that serve all of them, the system's.
 */
import pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { Unavailable } from '#domain';
import { entities } from './entities/index.ts';
import { SnakeCaseNaming } from './entities/snake-case-naming.ts';
import type { PreparedStatement } from './prepared-statement.ts';
import { DisconnectingClient } from './disconnecting-client.ts';
import { migrations } from './migrations/index.ts';

/** What statements run on: a transaction that knows its scope. */
export type Transaction = Pick<EntityManager, 'query' | 'getRepository'>;

export interface DatabaseOptions {
  readonly url: string;
  /** Connections this process may open; the deployment's budget is in docs/architecture.md. */
  readonly poolMax: number;
  readonly applicationName: string;
  /**
   * How long one statement may take, in ms; 0: for ever. A server whose packets vanish answers never.
   * @default 60,000: ten times what the longest of ours takes on ten million lines
   */
  readonly statementTimeoutMs?: number;
}

const statementMs = 60_000;

const int8 = 20;
/** bigint columns are counts, bytes and sequences, all below 2^53: numbers, not strings. */
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary'): ((value: string) => unknown) =>
    oid === int8 && format !== 'binary'
      ? Number
      : (pg.types.getTypeParser(oid, format ?? 'text') as (value: string) => unknown),
};

export class Database {
  private constructor(private readonly source: DataSource) {}

  /** @throws Unavailable when the server does not answer. */
  static async connect(options: DatabaseOptions): Promise<Database> {
    const source = new DataSource({
      type: 'postgres',
      url: options.url,
      applicationName: options.applicationName,
      poolSize: options.poolMax,
      connectTimeoutMS: 5_000,
      extra: {
        types,
        keepAlive: true,
        idleTimeoutMillis: 30_000,
        Client: DisconnectingClient,
        query_timeout: options.statementTimeoutMs ?? statementMs,
      },
      entities,
      namingStrategy: new SnakeCaseNaming(),
      migrations,
      migrationsTableName: 'migrations',
      // An idle connection that dies with its server is replaced by the pool; the statement that meets it says so.
      poolErrorHandler: () => {},
    });
    await available(source.initialize());
    return new Database(source);
  }

  /** Runs `work` in one transaction that is bound to a workspace. */
  withWorkspace<T>(workspaceId: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.inScope(workspaceId, work);
  }

  /** Runs `work` in one transaction across workspaces: for elected duties, claims by id, and sign-in. */
  asSystem<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.inScope('*', work);
  }

  private inScope<T>(scope: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return available(
      this.source.transaction(async (tx) => {
        await tx.query(`select set_config('millrace.workspace', $1, true)`, [scope]);
        return work(tx);
      }),
    );
  }

  /** One statement on its own, without a transaction's three extra round trips. */
  rows<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return available(this.source.query<Row[]>(sql, parameters));
  }

  /** A hot statement: parsed and planned once for each connection. Alone, or in `tx`. */
  async prepared<Row>(
    { name, text }: PreparedStatement,
    values: unknown[],
    tx?: Transaction,
  ): Promise<Row[]> {
    if (tx) return tx.query<Row[]>(text, values);
    const { rows } = await available(this.pool.query<Row & pg.QueryResultRow>({ name, text, values }));
    return rows;
  }

  /** TypeORM's own pool, past its query runners: they know no prepared statements. */
  private get pool(): pg.Pool {
    return (this.source.driver as unknown as { master: pg.Pool }).master;
  }

  /** Answers when Postgres does. */
  async ping(): Promise<void> {
    await this.rows('select 1');
  }

  /** Applies what is missing. @returns the names of the migrations applied. */
  async migrate(): Promise<string[]> {
    // Two processes may start at once: the second waits here, and then finds nothing to do.
    const lock = this.source.createQueryRunner();
    try {
      await lock.query(`select pg_advisory_lock(hashtext('millrace.migrate'))`);
      const done = await this.source.runMigrations({ transaction: 'each' });
      return done.map((migration) => migration.name);
    } finally {
      await lock.query(`select pg_advisory_unlock(hashtext('millrace.migrate'))`).catch(() => undefined);
      await lock.release();
    }
  }

  /** Migrations in the database that this release does not know: it was written by a newer one. */
  async listUnknownMigrations(): Promise<string[]> {
    const [table] = await this.rows<{ name: string | null }>(
      `select to_regclass('migrations')::text as name`,
    );
    if (!table?.name) return [];
    const applied = await this.rows<{ name: string }>('select name from migrations order by id');
    const known = new Set(migrations.map((migration) => migration.name));
    return applied.map(({ name }) => name).filter((name) => !known.has(name));
  }

  async close(): Promise<void> {
    if (this.source.isInitialized) await this.source.destroy();
  }
}

/** Classes of SQLSTATE that mean the server, not the statement: connection, resources, operator, system. */
const serverTrouble = /^(08|53|57|58)/;

/** Turns the loss of the server into `Unavailable`; every other error stays as it is. */
async function available<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code = '', message = '' } = error as { code?: string; message?: string };
    if (
      serverTrouble.test(code) ||
      /^E(CONN|PIPE|HOST|TIMEDOUT|AI_)/.test(code) ||
      /connect|terminat|read timeout/i.test(message)
    ) {
      throw new Unavailable('The database does not answer. Try again shortly.', {
        code: 'database_unavailable',
        cause: error,
      });
    }
    throw error;
  }
}
