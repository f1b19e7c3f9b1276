/**
 * The platform under test: the built API and workers with their own database, queue and data folder, and the batches that
 * the fault run has submitted. Workers that exit are restarted. The checker runs on it at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { migrateQueues } from '#queues';
import { createMigratedDatabase } from '../support/migrated-database.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { startPlatform, waitUntil, type Platform, type PlatformOptions } from '../support/platform.ts';
import { createBucket, findS3Server, type TestBucket } from '../support/s3.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { check, type CheckContext } from './checker.ts';
import type { Check, FaultOptions } from './fault.ts';
import { BatchInput, type InputOptions } from './batch-input.ts';
import { restartDeadWorkers, type WorkerRestarter } from './worker-restarter.ts';
import { readQueue, type QueueSnapshot } from './checker/queue.ts';
import { DatabaseReader } from './database-reader.ts';

export interface Submitted {
  readonly id: string;
  readonly fileId: string;
  readonly input: BatchInput;
}

export type DeploymentOptions = Omit<PlatformOptions, 'redisUrl' | 'bucket'>;

/** What a deployment needs from a running platform. */
export type PlatformAccess = Pick<
  Platform,
  'url' | 'apiKey' | 'home' | 'databaseUrl' | 'client' | 'objects' | 'output' | 'stop'
>;

/** Servers of the queue and the object storage. Unset: Postgres, and the data folder. */
export interface Servers {
  readonly redisUrl?: string;
  readonly bucket?: TestBucket | undefined;
}

/** This machine does not have a server that the run needs: the run is skipped. */
export class MissingServerError extends Error {}

export class Deployment<G extends PlatformAccess = Platform> {
  readonly submitted: Submitted[] = [];
  /** Contents of the queue at several moments of the run, for the checker. */
  readonly queueSnapshots: QueueSnapshot[] = [];
  private tags = 0;

  private constructor(
    readonly options: FaultOptions,
    readonly platform: G,
    readonly database: DatabaseReader,
    readonly redis: TestRedis | null,
    private readonly bucket: TestBucket | undefined,
  ) {}

  /** Starts the API and the workers, runs the fault, and removes everything. Workers that exit are restarted. */
  static async use<T>(
    options: FaultOptions,
    settings: DeploymentOptions,
    run: (deployment: Deployment, restarter: WorkerRestarter) => Promise<T>,
  ): Promise<T> {
    const database = settings.databaseUrl ? null : await createPlatformDatabase(options);
    const migrated = database && { databaseUrl: database.url, isMigrated: true };
    const open = (servers: Servers) =>
      startPlatform({ ...settings, ...servers, ...migrated, checkResponses: false });
    try {
      return await Deployment.useWith(options, open, async (deployment) => {
        const restarter = restartDeadWorkers(deployment.platform);
        try {
          return await run(deployment, restarter);
        } finally {
          await restarter.stop();
        }
      });
    } finally {
      await database?.drop();
    }
  }

  /** Starts a platform with `open`, runs the fault, and removes everything. An error is thrown with the last log lines. */
  static async useWith<G extends PlatformAccess, T>(
    options: FaultOptions,
    open: (servers: Servers) => Promise<G>,
    run: (deployment: Deployment<G>) => Promise<T>,
  ): Promise<T> {
    const bucket = await createBucketFor(options);
    const redis = options.backend === 'redis' ? await startRedis() : null;
    if (options.backend === 'redis' && !redis) {
      await bucket?.remove();
      throw new MissingServerError('no redis-server on PATH or in REDIS_SERVER');
    }
    let platform: G | null = null;
    let database: DatabaseReader | null = null;
    try {
      platform = await open({ bucket, ...(redis && { redisUrl: redis.url }) });
      database = new DatabaseReader(platform.databaseUrl);
      return await run(new Deployment(options, platform, database, redis, bucket));
    } catch (error) {
      throw platform ? withLogs(error, platform) : error;
    } finally {
      await database?.close();
      await platform?.stop();
      await redis?.dispose();
      await bucket?.remove();
    }
  }

  /** Uploads lines and creates a batch. */
  async submit(options: Omit<InputOptions, 'tag'>): Promise<Submitted> {
    return this.create(await this.upload(options));
  }

  async upload(options: Omit<InputOptions, 'tag'>): Promise<Omit<Submitted, 'id'>> {
    const input = new BatchInput({ ...options, tag: `s${this.options.seed}b${++this.tags}` });
    const file = await this.platform.client.files.create({ file: input.file(), purpose: 'batch' });
    return { fileId: file.id, input };
  }

  async create({ fileId, input }: Omit<Submitted, 'id'>, idempotencyKey?: string): Promise<Submitted> {
    const batch = await this.platform.client.batches.create(
      { input_file_id: fileId, endpoint: '/v1/embeddings', completion_window: '24h' },
      idempotencyKey ? { headers: { 'Idempotency-Key': idempotencyKey } } : undefined,
    );
    return this.add({ id: batch.id, fileId, input });
  }

  /** Adds a batch that was created by other means to those that are checked. */
  add(submitted: Submitted): Submitted {
    this.submitted.push(submitted);
    return submitted;
  }

  /** Waits until a chunk runs. */
  async waitUntilChunkRuns(withinMs = 30_000): Promise<void> {
    await waitUntil(async () => (await this.database.listRunningChunks()).length > 0, {
      what: 'a chunk to run',
      withinMs,
    });
  }

  /**
   * Stores the contents of the queue for the checker. It reads the queue until it holds a job: the chunk that was found
   * running may have completed, and the next job may not be queued yet.
   */
  async snapshotQueue(): Promise<void> {
    await waitUntil(
      async () => {
        const snapshot = await readQueue(this.queueAddress);
        if (snapshot.payloads.length === 0) return false;
        this.queueSnapshots.push(snapshot);
        return true;
      },
      { what: 'the queue to hold a job', withinMs: 30_000 },
    );
  }

  /** Waits until every batch has ended and calls `meanwhile` after each poll. @throws Error after `withinMs` */
  async waitUntilEnded(withinMs: number, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const states = await Promise.all(this.submitted.map(({ id }) => this.database.getBatchState(id)));
      await meanwhile();
      if (states.every(({ status }) => isFinal(status))) return this.options.print('every batch has ended');
      if (Date.now() > deadline) {
        const shown = states
          .map((state, at) => `${this.submitted[at]!.id} ${JSON.stringify(state)}`)
          .join('\n');
        throw new Error(
          `the batches did not end within ${withinMs / 1_000} s:\n${shown}\n${await this.describeOpenChunks()}`,
        );
      }
      await sleep(200);
    }
  }

  /** Runs the checker on everything that was submitted. */
  async runChecker(
    more: Partial<Pick<CheckContext, 'lostUploads' | 'ends' | 'secrets'>> = {},
  ): Promise<Check[]> {
    const { platform, database, submitted, queueSnapshots } = this;
    return check({
      database,
      url: platform.url,
      apiKey: platform.apiKey,
      home: platform.home,
      objects: platform.objects,
      queue: this.queueAddress,
      batches: submitted,
      queueSnapshots,
      logs: () => platform.output(),
      ...more,
      secrets: [...(more.secrets ?? []), ...(this.bucket ? [this.bucket.secretAccessKey] : [])],
    });
  }

  private get queueAddress() {
    return this.redis
      ? ({ kind: 'redis', url: this.redis.url } as const)
      : ({ kind: 'postgres', database: this.database } as const);
  }

  /** @returns chunks that are not done, for an error message. */
  private async describeOpenChunks(): Promise<string> {
    const rows = await this.database.rows(
      `select batch_id, index, status, attempt, generation, worker_id, queued_at, started_at from chunks
       where status <> 'done' order by batch_id, index limit 12`,
    );
    return rows.map((row) => JSON.stringify(row)).join('\n');
  }
}

/** Copies a migrated template: the start of a migrate process takes about a second of CPU in each run. */
async function createPlatformDatabase({ backend }: FaultOptions): Promise<TestDatabase> {
  const database = await createMigratedDatabase();
  if (backend === 'embedded') await migrateQueues({ url: database.url });
  return database;
}

async function createBucketFor({ store }: FaultOptions): Promise<TestBucket | undefined> {
  if (store === 'disk') return undefined;
  const server = findS3Server();
  if (!server) throw new MissingServerError('S3_TEST_ENDPOINT and its credentials are not set');
  return createBucket(server);
}

const isFinal = (status: string): boolean => ['completed', 'failed', 'expired', 'cancelled'].includes(status);

const shownLines = 15;
const shownCharacters = 600;

function withLogs(error: unknown, platform: PlatformAccess): Error {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const tails = platform
    .output()
    .split(/^── /m)
    .filter(Boolean)
    .map((text) => {
      const lines = text.trimEnd().split('\n');
      const last = lines.slice(1).slice(-shownLines);
      return `── ${lines[0]}\n${last.map((line) => line.slice(0, shownCharacters)).join('\n')}`;
    });
  const withTails = new Error(`${message}\n\nLast log lines of each process:\n${tails.join('\n')}`, {
    cause: error,
  });
  if (stack) withTails.stack = stack;
  return withTails;
}
