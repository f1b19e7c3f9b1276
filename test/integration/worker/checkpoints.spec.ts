/** Lines that cost money: what an attempt has finished is kept while it runs, and no later attempt pays for it again. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ChunkDelivery, ClaimedChunk } from '#database';
import { Unavailable } from '#domain';
import type { ObjectStore } from '#storage';
import type { RunChunkDeps } from '../../../apps/worker/src/batches/chunks/run-chunk.ts';
import { eventually } from '../../support/eventually.ts';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';

let mill: WorkerHarness;
beforeAll(async () => {
  mill = await openWorkerHarness();
});
afterAll(() => mill?.close());

/** Calls of each line, by their steps in order, and when it was kept. */
let seen: Map<number, string[]>;
let begun = 0;
const note = (line: number, step: string) => void seen.set(line, [...(seen.get(line) ?? []), step]);
const onCall = (message: unknown) => {
  const { step, inputs } = message as { step: string; inputs: string[] };
  if (step === 'begun') begun++;
  for (const input of inputs) note(Number(input.split(' ')[1]) + 1, step);
};
const onKept = (lines: unknown) => (lines as number[]).forEach((line) => note(line, 'kept'));
beforeEach(async () => {
  seen = new Map();
  begun = 0;
  subscribe('millrace:sandbox.call', onCall);
  subscribe('millrace:lines.kept', onKept);
  await mill.house.database.rows(`update batches set status = 'failed' where status = 'in_progress'`);
});
afterEach(() => {
  unsubscribe('millrace:sandbox.call', onCall);
  unsubscribe('millrace:lines.kept', onKept);
});

const lines = 50;
const perCall = 3;
/** A chunk of its own, three lines a call, each call taking its time; every tenth line is refused. */
const paid = (delayMs: number, model = 'sandbox/embeddings:paid') =>
  Array.from({ length: lines }, (_, at) => {
    const metadata = {
      call: String(Math.floor(at / perCall)),
      sandbox: JSON.stringify({ delay_ms: delayMs, reject: '9' }),
    };
    return `${embeddingLine(at, { model, metadata })}\n`;
  }).join('');

async function dispatched(text: string): Promise<{ batchId: string; delivery: ChunkDelivery }> {
  const batchId = await mill.planned(text);
  const deliveries = await mill.house.chunks.dispatch(8, 100);
  expect(deliveries).toHaveLength(1);
  return { batchId, delivery: deliveries[0]! };
}

const run = (delivery: ChunkDelivery, over: Partial<RunChunkDeps> = {}) => mill.run(delivery, over);
const kept = () => [...seen].filter(([, steps]) => steps.includes('kept')).map(([line]) => line);
const paidAgainAfterKept = () =>
  [...seen].filter(
    ([, steps]) => steps.slice(steps.indexOf('kept') + 1).includes('begun') && steps.includes('kept'),
  );

async function expectWhole(batchId: string): Promise<void> {
  const output = await mill.records(batchId, 'output_file_id');
  const errors = await mill.records(batchId, 'error_file_id');
  expect([output.length, errors.length]).toEqual([45, 5]);
  expect(new Set([...output, ...errors].map(({ id }) => id)).size).toBe(lines);
  expect(await mill.house.row(batchId)).toMatchObject({
    status: 'completed',
    completed: 45,
    failed: 5,
    // 'text 0' and 'text 10' are of two tokens.
    inputTokens: 45 * 2,
  });
}

/** As the sweep does. */
async function swept(batchId: string): Promise<string[]> {
  const { checkpoints } = mill.house;
  await checkpoints.retireFinished();
  const keys = await checkpoints.listRetiredObjects(1_000);
  await mill.objects.delete(keys);
  await checkpoints.deleteRetiredObjects(keys);
  const left: string[] = [];
  for await (const { key } of mill.objects.list('')) if (key.includes(batchId)) left.push(key);
  return left;
}

test('taken over in the middle: the next attempt runs what was not kept, and pays for nothing that was', async () => {
  const { batchId, delivery } = await dispatched(paid(80));
  const first = run(delivery);
  await eventually('some lines to be kept', () => kept().length >= 12);
  await run(delivery);
  await first;
  expect(paidAgainAfterKept()).toEqual([]);
  // The first attempt stops paying once it is told that the chunk is another's.
  const twice = [...seen].filter(([, steps]) => steps.filter((step) => step === 'begun').length > 1);
  expect(twice.length).toBeLessThan(lines);
  expect(new Set(kept()).size).toBe(lines);
  await expectWhole(batchId);
  expect(await swept(batchId)).toEqual([
    expect.stringMatching(/0-2\.error\.jsonl$/),
    expect.stringMatching(/0-2\.output\.jsonl$/),
  ]);
});

test('all lines finished, and then no commit: nothing is paid again', async () => {
  const { batchId, delivery } = await dispatched(paid(0));
  const died = Object.assign(Object.create(mill.house.chunks) as RunChunkDeps['chunks'], {
    commit: () => Promise.reject(new Error('dies')),
    release: async () => undefined,
  });
  await run(delivery, { chunks: died });
  expect(kept()).toHaveLength(lines);
  const before = begun;
  await run(delivery);
  expect(begun).toBe(before);
  await expectWhole(batchId);
});

test('a chunk that is halved gives each half what it has kept of it', async () => {
  const { batchId, delivery } = await dispatched(paid(80));
  const first = run(delivery);
  await eventually('some lines to be kept', () => kept().length >= 20);
  // Workers die of it until it is halved.
  for (let death = 0; death < 2; death++) await mill.house.chunks.claim(delivery, `dead-${death}`);
  await first;
  await run(delivery);
  const halves = await mill.house.chunks.dispatch(8, 100);
  expect(halves).toHaveLength(2);
  for (const half of halves) await run(half);
  expect(paidAgainAfterKept()).toEqual([]);
  await expectWhole(batchId);
  expect((await swept(batchId)).filter((key) => key.includes('checkpoint'))).toEqual([]);
});

test('cancelled: what was paid for stands in the output', async () => {
  const { batchId, delivery } = await dispatched(paid(80));
  const first = run(delivery);
  await eventually('some lines to be kept', () => kept().length >= 12);
  const claimed = (await mill.house.chunks.claim(delivery, 'dead')) as ClaimedChunk;
  await mill.house.batches.cancel(claimed.workspaceId, batchId);
  await first;
  const due = kept().length;
  await run(delivery);
  const { completed, failed, canceled } = await mill.house.row(batchId);
  expect(completed + failed).toBe(due);
  expect(completed + failed + canceled).toBe(lines);
  expect(await mill.records(batchId, 'output_file_id')).toHaveLength(completed);
});

test('while the store is away no line is begun that could not be kept', async () => {
  const { batchId, delivery } = await dispatched(paid(20));
  let isAway = true;
  let refused = 0;
  const put: ObjectStore['put'] = (key, ...rest) => {
    if (!isAway || !key.includes('checkpoint')) return mill.objects.put(key, ...rest);
    refused++;
    return Promise.reject(new Unavailable('The store is away.'));
  };
  const read: ObjectStore['read'] = (...args) => mill.objects.read(...args);
  const head: ObjectStore['head'] = (key) => mill.objects.head(key);
  const objects = { put, read, head } as ObjectStore;
  const running = run(delivery, { objects });
  try {
    await eventually('a second refusal', () => refused >= 2);
    // Four calls at once, and those that were answered before the first refusal was known.
    const before = begun;
    expect(before).toBeLessThan(lines / perCall);
    await eventually('a fourth refusal', () => refused >= 4);
    expect(begun).toBe(before);
  } finally {
    isAway = false;
    await running;
  }
  await expectWhole(batchId);
});

test('lines that cost nothing are not kept', async () => {
  const { batchId, delivery } = await dispatched(paid(0, 'sandbox/embeddings'));
  await run(delivery);
  expect(kept()).toEqual([]);
  expect(await mill.house.database.rows('select 1 from checkpoints where batch_id = $1', [batchId])).toEqual(
    [],
  );
  await expectWhole(batchId);
});
