/**
 * Where a fault run plays: the built platform on a database, a queue and a data folder of its own, its workers
 * kept alive, and what the run has submitted, until the checker has looked at all of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
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

/** What every deployment stands on, whoever started it. */
export type PlatformAccess = Pick<
  Platform,
  'url' | 'apiKey' | 'home' | 'databaseUrl' | 'client' | 'objects' | 'output' | 'stop'
>;

/** What the queue and the objects of a deployment lie on; unset, on Postgres and on disk. */
export interface Servers {
  readonly redisUrl?: string;
  readonly bucket?: TestBucket | undefined;
}

/** This machine lacks a server that the run needs. */
export class MissingServerError extends Error {}

export class Deployment<G extends PlatformAccess = Platform> {
  readonly submitted: Submitted[] = [];
  /** What the queue held whenever it was looked into. */
  readonly queueSnapshots: QueueSnapshot[] = [];
  private tags = 0;

  private constructor(
    readonly options: FaultOptions,
    readonly platform: G,
    readonly database: DatabaseReader,
    readonly redis: TestRedis | null,
    private readonly bucket: TestBucket | undefined,
  ) {}

  /** Plays on the platform as a test starts it, with its workers kept alive. */
  static use<T>(
    options: FaultOptions,
    settings: DeploymentOptions,
    act: (deployment: Deployment, restarter: WorkerRestarter) => Promise<T>,
  ): Promise<T> {
    const open = (servers: Servers) => startPlatform({ ...settings, ...servers, checkResponses: false });
    return Deployment.useWith(options, open, async (deployment) => {
      const restarter = restartDeadWorkers(deployment.platform);
      try {
        return await act(deployment, restarter);
      } finally {
        await restarter.stop();
      }
    });
  }

  /** Opens a deployment, plays in it and clears it away, whatever happens. What goes wrong is thrown with the logs' end. */
  static async useWith<G extends PlatformAccess, T>(
    options: FaultOptions,
    open: (servers: Servers) => Promise<G>,
    act: (deployment: Deployment<G>) => Promise<T>,
  ): Promise<T> {
    const bucket = await bucketFor(options);
    const redis = options.backend === 'redis' ? await startRedis() : null;
    if (options.backend === 'redis' && !redis) {
      await bucket?.remove();
      throw new MissingServerError('no redis-server on PATH or in REDIS_SERVER');
    }
    let grounds: G | null = null;
    let database: DatabaseReader | null = null;
    try {
      grounds = await open({ bucket, ...(redis && { redisUrl: redis.url }) });
      database = new DatabaseReader(grounds.databaseUrl);
      return await act(new Deployment(options, grounds, database, redis, bucket));
    } catch (error) {
      throw grounds ? withLogs(error, grounds) : error;
    } finally {
      await database?.close();
      await grounds?.stop();
      await redis?.dispose();
      await bucket?.remove();
    }
  }

  /** Uploads lines and creates a batch of them. */
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

  /** Gives a batch that was created some other way to the checker. */
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

  /** Looks into the queue now, while it holds something. */
  async snapshotQueue(): Promise<void> {
    this.queueSnapshots.push(await readQueue(this.queueAddress));
  }

  /** Waits for the end of every batch, doing `meanwhile` again and again. @throws Error when time is up. */
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
          `the batches did not end within ${withinMs / 1_000} s:\n${shown}\n${await this.stuck()}`,
        );
      }
      await sleep(200);
    }
  }

  /** The checker's verdict on everything that this deployment holds. */
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

  /** Chunks that have not ended, for the message of a run that waits in vain. */
  private async stuck(): Promise<string> {
    const rows = await this.database.rows(
      `select batch_id, index, status, attempt, generation, worker_id, queued_at, started_at from chunks
       where status <> 'done' order by batch_id, index limit 12`,
    );
    return rows.map((row) => JSON.stringify(row)).join('\n');
  }
}

async function bucketFor({ store }: FaultOptions): Promise<TestBucket | undefined> {
  if (store === 'disk') return undefined;
  const server = findS3Server();
  if (!server) throw new MissingServerError('no S3 server is named by S3_TEST_ENDPOINT and its credentials');
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
  const told = new Error(`${message}\n\nThe end of each process's log:\n${tails.join('\n')}`, {
    cause: error,
  });
  if (stack) told.stack = stack;
  return told;
}
