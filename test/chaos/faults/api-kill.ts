/** Kills the API: during uploads, between the commit of a batch and its job in the queue, and at random times. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../support/platform.ts';
import { uploadSlowly, type UploadResult } from '../slow-upload.ts';
import type { Check, Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { BatchInput } from '../batch-input.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';

const dieAfterCommitArgs = [
  '--import',
  fileURLToPath(new URL('../preload/die-after-batch-commit.js', import.meta.url)),
];

/** A plan without a job is looked up when it is 10 s old, by the next run of the reconcile job. */
const resumeWithinMs = 15_000;

export const apiKill: Fault = {
  name: 'api-kill',
  title: 'kill -9 the API: mid-upload, between commit and queue, mid-batch',
  backends: ['embedded', 'redis'],
  run: (options) => Deployment.use(options, { workers: 2 }, (deployment) => runFault(deployment, options)),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const { short, random } = options;
  const uploads: InterruptedUpload[] = [];
  for (let round = 1; round <= (short ? 2 : 8); round++)
    uploads.push(await interruptUpload(deployment, round));
  const undelivered = await killBeforeQueue(deployment);
  // Runs while the reconcile job waits for the other batch to become old enough, to save time.
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 800 : 30_000), short ? 3.5 : 5));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const commit = await waitUntilDelivered(deployment, undelivered);
  const restarts: number[] = [];
  for (let round = 1; round <= (short ? 1 : 5); round++) {
    await sleep(random.between(500, 2_000));
    restarts.push(await killAndRestart(deployment, random.between(0, 1_500)));
  }
  await deployment.waitUntilEnded(120_000);

  const lostUploads = uploads.filter(({ fileId }) => fileId === null).length;
  const checks = [
    ...(await deployment.runChecker({ lostUploads })),
    ...(await checkUploads(deployment, uploads)),
    ...commit.checks,
  ];
  const figures = {
    interruptedUploads: uploads.length,
    apiKills: uploads.length + 1 + restarts.length,
    slowestApiStartMs: Math.round(Math.max(...restarts)),
    resumeAfterCommitKillMs: commit.resumedAfterMs,
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [buildUploadTable(uploads)], figures };
}

interface InterruptedUpload extends UploadResult {
  readonly round: number;
  readonly share: number;
  readonly input: BatchInput;
}

/** Kills the API at a random share of the upload; every second time after the last byte, between the object and its row. */
async function interruptUpload(deployment: Deployment, round: number): Promise<InterruptedUpload> {
  const { platform, options } = deployment;
  const input = new BatchInput({ lines: 20_000, tag: `s${options.seed}u${round}` });
  const share = round % 2 === 0 ? 1 : options.random.between(1, 19) / 20;
  const waitMs = share === 1 ? options.random.between(0, 12) : 0;
  const { child } = platform.api;
  const exited = once(child, 'exit');
  const result = await uploadSlowly(platform, input, (sent) => {
    if (sent === share) setTimeout(() => child.kill('SIGKILL'), waitMs);
  });
  await exited;
  await platform.restartApi();
  options.print(
    `upload ${round}: killed at ${Math.round(share * 100)} %; the client received ${result.fileId ?? result.error}`,
  );
  return { ...result, round, share, input };
}

async function checkUploads(
  { database, platform }: Deployment,
  uploads: readonly InterruptedUpload[],
): Promise<Check[]> {
  const files = await database.rows<{ id: string; bytes: number; lines: number }>(
    `select id, bytes, lines from files where filename = 'cut.jsonl'`,
  );
  const sizes = new Set(uploads.map(({ input }) => Buffer.byteLength([...input.chunks()].join(''))));
  const partial = files.filter(({ bytes, lines }) => lines !== 20_000 || !sizes.has(bytes));
  const acknowledged = uploads.flatMap(({ fileId }) => fileId ?? []);
  const lost = acknowledged.filter((id) => !files.some((file) => file.id === id));
  const listed = await platform.client.files.list({ purpose: 'batch' });
  const shown = listed.data.filter(({ filename }) => filename === 'cut.jsonl');
  const unfinished = uploads.filter(({ share }) => share < 1);
  return [
    {
      name: 'an interrupted upload is an error for its client and creates no file',
      holds:
        unfinished.every(({ fileId }) => fileId === null) &&
        files.length <= uploads.length - unfinished.length,
      found: `${unfinished.length} interrupted; ${files.length} files, ${shown.length} of them listed`,
    },
    {
      name: 'a visible file is complete, and every acknowledged upload is a file',
      holds: partial.length === 0 && lost.length === 0 && shown.length === files.length,
      found: `${partial.length} partial files, ${lost.length} of ${acknowledged.length} acknowledged uploads missing`,
    },
  ];
}

interface UndeliveredBatch {
  readonly id: string;
  readonly killedAt: number;
  readonly check: Check;
}

/** Kills the API between the commit of a batch and its job in the queue; the caller retries with the same key. */
async function killBeforeQueue(deployment: Deployment): Promise<UndeliveredBatch> {
  const { platform, database, options } = deployment;
  await killApi(deployment);
  await platform.restartApi(dieAfterCommitArgs);
  const input = new BatchInput({ lines: 500, tag: `s${options.seed}k` });
  const file = await platform.client.files.create({ file: input.file(), purpose: 'batch' });
  const key = randomUUID();
  const create = () =>
    platform.client.batches.create(
      { input_file_id: file.id, endpoint: '/v1/embeddings', completion_window: '24h' },
      { headers: { 'Idempotency-Key': key }, maxRetries: 0 },
    );
  const batches = () =>
    database.rows<{ id: string; status: string }>('select id, status from batches where input_file_id = $1', [
      file.id,
    ]);
  const exited = once(platform.api.child, 'exit');
  const received = await create().then(
    ({ id }) => id,
    (error: Error) => error.message,
  );
  const [, signal] = (await exited) as [null, string];
  const killedAt = Date.now();
  const before = await batches();
  await platform.restartApi();
  const again = await create();
  deployment.add({ id: again.id, fileId: file.id, input });
  const after = await batches();
  options.print(`killed between commit and queue: the client received "${received}"`);
  const check = {
    name: 'killed between commit and queue: one batch, and the retry returns it',
    holds: signal === 'SIGKILL' && before.length === 1 && after.length === 1 && before[0]!.id === again.id,
    found: `${before.length} batch (${before[0]?.status}) after the kill, ${after.length} after the retry`,
  };
  return { id: again.id, killedAt, check };
}

/** Waits until the reconcile job has queued the batch that was in no queue. */
async function waitUntilDelivered(
  { database, options }: Deployment,
  { id, killedAt, check }: UndeliveredBatch,
) {
  await waitUntil(async () => (await database.getBatchState(id)).status !== 'validating', {
    what: 'the batch without a job to be planned',
    withinMs: 30_000,
  });
  const { at } = await database.one<{ at: Date }>('select in_progress_at as at from batches where id = $1', [
    id,
  ]);
  const resumedAfterMs = at.getTime() - killedAt;
  options.print(`it was planned ${resumedAfterMs} ms after the kill`);
  const inTime = {
    name: `the reconcile job queues it within ${resumeWithinMs / 1_000} s of the kill`,
    holds: resumedAfterMs <= resumeWithinMs,
    found: `${(resumedAfterMs / 1_000).toFixed(1)} s, including the API’s restart`,
  };
  return { checks: [check, inTime], resumedAfterMs };
}

async function killApi({ platform: { api } }: Deployment): Promise<void> {
  const exited = once(api.child, 'exit');
  api.child.kill('SIGKILL');
  await exited;
}

/** @returns ms from the start of the new API to its first answer. */
async function killAndRestart(deployment: Deployment, downMs: number): Promise<number> {
  await killApi(deployment);
  await sleep(downMs);
  const began = performance.now();
  await deployment.platform.restartApi();
  deployment.options.print(`killed the API and started it ${downMs} ms later`);
  return performance.now() - began;
}

function buildUploadTable(uploads: readonly InterruptedUpload[]): Table {
  return {
    title: 'Uploads during which the API was killed',
    columns: ['round', 'sent', 'the client received'],
    rows: uploads.map(({ round, share, fileId, error }) => [
      round,
      `${Math.round(share * 100)} %`,
      fileId ?? error ?? '',
    ]),
  };
}
