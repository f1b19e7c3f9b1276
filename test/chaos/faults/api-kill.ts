/** The API is killed with -9: during uploads, between a batch's commit and its way into the queue, and at random. */
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

/** A plan that the queue never got is suspect after 10 s and found by the next sweep. */
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
  // Begun while the sweep lets the other batch wait, so that the run is as short as it can be.
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 800 : 30_000), short ? 3.5 : 5));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const commit = await delivered(deployment, undelivered);
  const restarts: number[] = [];
  for (let round = 1; round <= (short ? 1 : 5); round++) {
    await sleep(random.between(500, 2_000));
    restarts.push(await killAndRestart(deployment, random.between(0, 1_500)));
  }
  await deployment.waitUntilEnded(120_000);

  const lostUploads = uploads.filter(({ fileId }) => fileId === null).length;
  const checks = [
    ...(await deployment.runChecker({ lostUploads })),
    ...(await uploadChecks(deployment, uploads)),
    ...commit.checks,
  ];
  const figures = {
    uploadsCut: uploads.length,
    apiKills: uploads.length + 1 + restarts.length,
    slowestApiStartMs: Math.round(Math.max(...restarts)),
    resumeAfterCommitKillMs: commit.resumedAfterMs,
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [uploadTable(uploads)], figures };
}

interface InterruptedUpload extends UploadResult {
  readonly round: number;
  readonly share: number;
  readonly input: BatchInput;
}

/** Every other one dies when all of the file is sent, between the store and the row; the others with a part of it. */
async function interruptUpload(deployment: Deployment, round: number): Promise<InterruptedUpload> {
  const { platform, options } = deployment;
  const input = new BatchInput({ lines: 20_000, tag: `s${options.seed}u${round}` });
  const share = round % 2 === 0 ? 1 : options.random.between(1, 19) / 20;
  const waitMs = share === 1 ? options.random.between(0, 12) : 0;
  const { child } = platform.api;
  const exited = once(child, 'exit');
  const end = await uploadSlowly(platform, input, (sent) => {
    if (sent === share) setTimeout(() => child.kill('SIGKILL'), waitMs);
  });
  await exited;
  await platform.restartApi();
  options.print(
    `upload ${round}: killed at ${Math.round(share * 100)} %; the client saw ${end.fileId ?? end.error}`,
  );
  return { ...end, round, share, input };
}

async function uploadChecks(
  { database, platform }: Deployment,
  uploads: readonly InterruptedUpload[],
): Promise<Check[]> {
  const files = await database.rows<{ id: string; bytes: number; lines: number }>(
    `select id, bytes, lines from files where filename = 'cut.jsonl'`,
  );
  const sizes = new Set(uploads.map(({ input }) => Buffer.byteLength([...input.chunks()].join(''))));
  const halves = files.filter(({ bytes, lines }) => lines !== 20_000 || !sizes.has(bytes));
  const acknowledged = uploads.flatMap(({ fileId }) => fileId ?? []);
  const lost = acknowledged.filter((id) => !files.some((file) => file.id === id));
  const listed = await platform.client.files.list({ purpose: 'batch' });
  const shown = listed.data.filter(({ filename }) => filename === 'cut.jsonl');
  const unfinished = uploads.filter(({ share }) => share < 1);
  return [
    {
      name: 'an upload that was cut is an error to its client, and no file',
      holds:
        unfinished.every(({ fileId }) => fileId === null) &&
        files.length <= uploads.length - unfinished.length,
      found: `${unfinished.length} cut half-way; ${files.length} files, ${shown.length} of them listed`,
    },
    {
      name: 'what is visible of an upload is all of it; what was acknowledged is there',
      holds: halves.length === 0 && lost.length === 0 && shown.length === files.length,
      found: `${halves.length} halves, ${lost.length} of ${acknowledged.length} acknowledged are missing`,
    },
  ];
}

interface UndeliveredBatch {
  readonly id: string;
  readonly killedAt: number;
  readonly check: Check;
}

/** The API dies between a batch's commit and its way into the queue; the caller tries again with the same key. */
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
  const seen = await create().then(
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
  options.print(`killed between commit and queue: the client saw "${seen}"`);
  const check = {
    name: 'killed between commit and queue: one batch, and the retry is given the same',
    holds: signal === 'SIGKILL' && before.length === 1 && after.length === 1 && before[0]!.id === again.id,
    found: `${before.length} batch (${before[0]?.status}) after the kill, ${after.length} after the retry`,
  };
  return { id: again.id, killedAt, check };
}

/** Waits until the sweep has delivered what no queue had heard of. */
async function delivered({ database, options }: Deployment, { id, killedAt, check }: UndeliveredBatch) {
  await waitUntil(async () => (await database.getBatchState(id)).status !== 'validating', {
    what: 'the batch that never reached the queue to be planned',
    withinMs: 30_000,
  });
  const { at } = await database.one<{ at: Date }>('select in_progress_at as at from batches where id = $1', [
    id,
  ]);
  const resumedAfterMs = at.getTime() - killedAt;
  options.print(`it was planned ${resumedAfterMs} ms after the kill`);
  const inTime = {
    name: `the sweep delivers it within ${resumeWithinMs / 1_000} s of the kill`,
    holds: resumedAfterMs <= resumeWithinMs,
    found: `${(resumedAfterMs / 1_000).toFixed(1)} s, the API’s restart included`,
  };
  return { checks: [check, inTime], resumedAfterMs };
}

async function killApi({ platform: { api } }: Deployment): Promise<void> {
  const exited = once(api.child, 'exit');
  api.child.kill('SIGKILL');
  await exited;
}

/** @returns how long the API took to answer again, in ms. */
async function killAndRestart(deployment: Deployment, downMs: number): Promise<number> {
  await killApi(deployment);
  await sleep(downMs);
  const began = performance.now();
  await deployment.platform.restartApi();
  deployment.options.print(`killed the API and started it ${downMs} ms later`);
  return performance.now() - began;
}

function uploadTable(uploads: readonly InterruptedUpload[]): Table {
  return {
    title: 'Uploads during which the API was killed',
    columns: ['round', 'sent', 'the client saw'],
    rows: uploads.map(({ round, share, fileId, error }) => [
      round,
      `${Math.round(share * 100)} %`,
      fileId ?? error ?? '',
    ]),
  };
}
