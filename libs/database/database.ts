/**
 * A process's connection to Postgres, and the two scopes of a transaction: one workspace (`withWorkspace`) or, for
 * background jobs and claims that serve all workspaces, the system (`asSystem`).
 */
import pg from 'pg';
import { DataSource } from 'typeorm';
import { parseStoredJson, Unavailable } from '#domain';
import { describeConnectFailure } from './connect-failure.ts';
import { DisconnectingClient } from './disconnecting-client.ts';
import { entities } from './entities/index.ts';
import { SnakeCaseNaming } from './entities/snake-case-naming.ts';
import { migrationNames, migrations } from './migrations/index.ts';
import type { PreparedStatement } from './prepared-statement.ts';
import { Transaction } from './transaction.ts';

export interface DatabaseOptions {
  readonly url: string;
  /** Maximum number of connections of this process; the deployment's budget is in docs/architecture.md. */
  readonly poolMax: number;
  readonly applicationName: string;
  /**
   * Time limit of one statement, in ms; 0 for none. Without a limit, a statement to a server whose packets are dropped
   * waits forever.
   * @default 60,000: ten times what our longest statement takes on ten million lines
   */
  readonly statementTimeoutMs?: number;
}

const defaultStatementTimeoutMs = 60_000;

/**
 * By the id of a column's type. bigint is parsed as a number, not a string: counts, bytes and sequences, all below 2^53.
 * json keeps its numbers as written: a task's input may hold some that a double cannot.
 */
const parsers: Readonly<Record<number, (value: string) => unknown>> = { 20: Number, 114: parseStoredJson };
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary'): ((value: string) => unknown) =>
    (format !== 'binary' && parsers[oid]) ||
    (pg.types.getTypeParser(oid, format ?? 'text') as (value: string) => unknown),
};

export class Database {
  private constructor(private readonly source: DataSource) {}

  /** @throws Unavailable when the server cannot be used. Its message is for the operator: what is wrong and what to do. */
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
        query_timeout: options.statementTimeoutMs ?? defaultStatementTimeoutMs,
      },
      entities,
      namingStrategy: new SnakeCaseNaming(),
      migrations: [...migrations],
      migrationsTableName: 'migrations',
      // The pool replaces an idle connection that dies; a statement that meets a dead one throws its own error.
      poolErrorHandler: () => {},
    });
    try {
      await source.initialize();
    } catch (error) {
      throw buildConnectFailure(error, options.url);
    }
    return new Database(source);
  }

  /** Runs `work` in one transaction in the scope of a workspace. */
  withWorkspace<T>(workspaceId: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.inScope(workspaceId, work);
  }

  /** Runs `work` in one transaction across workspaces: for background jobs, claims by id, and sign-in. */
  asSystem<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.inScope('*', work);
  }

  private inScope<T>(scope: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return translateErrors(
      this.source.transaction(async (manager) => {
        const transaction = new Transaction(manager);
        await transaction.rows(`select set_config('millrace.workspace', $1, true)`, [scope]);
        return work(transaction);
      }),
    );
  }

  /** Runs one statement outside a transaction, which saves three round trips. @returns its rows. */
  async rows<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    const { rows } = await translateErrors(this.pool.query<Row & pg.QueryResultRow>(sql, parameters));
    return rows;
  }

  /**
   * Runs a prepared statement, which each connection parses and plans once. In `transaction` it is sent as text: TypeORM's
   * connection of a transaction does not support prepared statements.
   */
  async prepared<Row>(
    { name, text }: PreparedStatement,
    values: unknown[],
    transaction?: Transaction,
  ): Promise<Row[]> {
    if (transaction) return transaction.rows<Row>(text, values);
    const { rows } = await translateErrors(this.pool.query<Row & pg.QueryResultRow>({ name, text, values }));
    return rows;
  }

  /** TypeORM's own connection pool. Its query runners support no prepared statements. */
  private get pool(): pg.Pool {
    return (this.source.driver as unknown as { master: pg.Pool }).master;
  }

  /** @throws Unavailable when the server does not answer. */
  async ping(): Promise<void> {
    await this.rows('select 1');
  }

  /**
   * Applies the missing migrations. @returns the names of those applied.
   * @throws Unavailable, with a message for the operator, when the server is too old or the role may not create tables
   */
  async migrate(): Promise<string[]> {
    const [server] = await this.rows<{ version: number }>(
      `select current_setting('server_version_num')::int as version`,
    );
    if (server!.version < oldestServerVersion) {
      const found = Math.floor(server!.version / 10_000);
      throw new Unavailable(`DATABASE_URL: the server is Postgres ${found}. Use Postgres 15 or newer.`, {
        code: 'database_unavailable',
      });
    }
    try {
      return await this.runMigrations();
    } catch (error) {
      if (!missingRights.test((error as { code?: string }).code ?? '')) throw error;
      throw buildConnectFailure(error, (this.source.options as { url: string }).url);
    }
  }

  private async runMigrations(): Promise<string[]> {
    // Two processes may start at once: the second waits for this lock, and then finds nothing to do.
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

  /** @returns applied migrations that this release does not know: a newer release has migrated the database. */
  async listUnknownMigrations(): Promise<string[]> {
    const [table] = await this.rows<{ name: string | null }>(
      `select to_regclass('migrations')::text as name`,
    );
    if (!table?.name) return [];
    const applied = await this.rows<{ name: string }>('select name from migrations order by id');
    const known = new Set(migrationNames);
    return applied.map(({ name }) => name).filter((name) => !known.has(name));
  }

  async close(): Promise<void> {
    if (this.source.isInitialized) await this.source.destroy();
  }
}

const oldestServerVersion = 150_000;

/** SQLSTATE of a role that may not create tables, and of a replica. */
const missingRights = /^(42501|25006)$/;

function buildConnectFailure(error: unknown, url: string): Unavailable {
  return new Unavailable(describeConnectFailure(error, url), { code: 'database_unavailable', cause: error });
}

/** Classes of SQLSTATE that mean the server, not the statement: connection, resources, operator, system. */
const serverErrors = /^(08|53|57|58)/;

/** Turns errors of the connection or the server into `Unavailable`; other errors stay as they are. */
async function translateErrors<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code = '', message = '' } = error as { code?: string; message?: string };
    if (
      serverErrors.test(code) ||
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
