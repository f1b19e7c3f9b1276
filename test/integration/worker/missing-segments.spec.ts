/** Segments that the store has lost or cut short: noticed before the batch ends, and their chunks run again. */
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChunkStore } from '#database';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';

let mill: WorkerHarness;
beforeAll(async () => {
  mill = await openWorkerHarness();
});
afterAll(() => mill?.close());

const lines = 600;
const rejected = { metadata: { sandbox: '{"reject":"7"}' } };
const text = Array.from({ length: lines }, (_, at) => `${embeddingLine(at, rejected)}\n`).join('');
const bad = Array.from({ length: lines }, (_, at) => at).filter((at) => String(at).includes('7')).length;

interface Row {
  index: number;
  key: string;
  errors: string;
  place: number;
}

/** Whoever commits the last chunk would end its batch: this one dies before. */
const withoutFinisher = () =>
  Object.assign(Object.create(mill.house.chunks) as ChunkStore, {
    reopenDamaged: () => Promise.reject(new Error('this finisher dies')),
  });

/** A batch of twelve chunks that are all done, its end not written yet. */
async function allDone(): Promise<{ batchId: string; chunks: Row[] }> {
  // No speed that was measured before decides how many chunks there are.
  await mill.house.database.rows(`update attempts set model = 'other'`);
  const batchId = await mill.planned(text);
  await mill.drain({ chunks: withoutFinisher() });
  const rows = await mill.house.database.rows<Row>(
    `select c.index, output_key as key, error_key as errors, a.done_as as place
     from chunks c join attempts a on a.batch_id = c.batch_id and a.chunk = c.index and a.number = c.attempt
     where c.batch_id = $1 order by c.index`,
    [batchId],
  );
  return { batchId, chunks: rows };
}

const pathOf = (key: string) => join(mill.root, key);
const counters = async (batchId: string) => {
  const { status, completed, failed, chunksDone, inputTokens } = await mill.house.row(batchId);
  return { status, completed, failed, chunksDone, inputTokens };
};

async function expectWhole(batchId: string): Promise<void> {
  const output = await mill.records(batchId, 'output_file_id');
  const errors = await mill.records(batchId, 'error_file_id');
  expect([output.length, errors.length]).toEqual([lines - bad, bad]);
  expect(new Set([...output, ...errors].map(({ custom_id }) => custom_id)).size).toBe(lines);
}

test('missing and cut short: these chunks run again, the others do not, and each line has one record', async () => {
  const { batchId, chunks } = await allDone();
  expect(chunks).toHaveLength(12);
  const before = await counters(batchId);
  expect(before).toMatchObject({ status: 'finalizing', completed: lines - bad, failed: bad, chunksDone: 12 });
  await rm(pathOf(chunks[2]!.key));
  await truncate(pathOf(chunks[5]!.errors), 10);

  expect(await mill.finish(batchId)).toBe(false);
  const between = await counters(batchId);
  expect(between).toMatchObject({ status: 'in_progress', chunksDone: 10 });
  expect(between.completed + between.failed).toBe(lines - 100);
  expect(await mill.drain()).toBe(2);
  expect(await counters(batchId)).toEqual({ ...before, status: 'completed' });
  await expectWhole(batchId);
  const attempts = await mill.house.attempts(batchId);
  expect(attempts.filter(({ outcome }) => outcome === 'failed').map(({ chunk }) => chunk)).toEqual([2, 5]);
  expect(attempts.filter(({ outcome }) => outcome === 'succeeded')).toHaveLength(12);
});

test('who reads results goes on where it was and misses nothing; milestones are told once', async () => {
  const { batchId, chunks } = await allDone();
  const { results } = mill.house;
  const workspaceId = (await mill.house.row(batchId)) as unknown as { workspace_id: string };
  const read = async (after: number, until: number) => {
    const keys: string[] = [];
    for await (const page of results.listSegments(workspaceId.workspace_id, batchId, after, until))
      keys.push(...page.map(({ key }) => key));
    return keys;
  };
  const gone = chunks.find(({ place }) => place === 7)!;
  await rm(pathOf(gone.key));
  // A reader that meets it tells of it: the batch is open still.
  expect(await mill.house.chunks.reopenDamaged(batchId, async () => [gone.key])).toBe(1);
  expect(await mill.house.chunks.reopenDamaged(batchId, async () => [gone.key])).toBe(0);
  const soFar = await results.getAvailableResults(workspaceId.workspace_id, batchId);
  expect(soFar).toMatchObject({ done: 6, isIncomplete: true });
  const first = await read(0, soFar.done);
  expect(await mill.drain()).toBe(1);
  const whole = await results.getAvailableResults(workspaceId.workspace_id, batchId);
  expect(whole).toMatchObject({ done: 12, isIncomplete: false });
  const rest = await read(soFar.done, whole.done);
  expect(first).not.toContain(gone.key);
  expect(new Set([...first, ...rest]).size).toBe(24);
  const facts = await mill.house.database.rows<{ progress: number }>(
    `select (data->>'progress')::int as progress from events
     where subject = $1 and type = 'batch.progress' order by sequence`,
    [batchId],
  );
  expect(facts.map(({ progress }) => progress)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90]);
});

test('of many finishers at once each chunk is reopened once; a halved one that runs again gets a place of its own', async () => {
  const { batchId, chunks } = await allDone();
  for (const { key } of chunks.slice(3, 6)) await rm(pathOf(key));
  await Promise.all(Array.from({ length: 6 }, () => mill.finish(batchId)));
  expect(await counters(batchId)).toMatchObject({ status: 'in_progress', chunksDone: 9 });
  const [delivery] = await mill.house.chunks.dispatch(1, 1);
  const held = (await mill.house.chunks.claim(delivery!, 'w'))!;
  const middle = Buffer.byteLength(
    text
      .split('\n')
      .slice(held.firstLine - 1, held.firstLine + 19)
      .join('\n') + '\n',
  );
  expect(await mill.house.chunks.split(held, { lines: 20, bytes: middle }, held.firstLine + 20)).toBe(12);
  await mill.drain();
  expect(await counters(batchId)).toMatchObject({
    status: 'completed',
    completed: lines - bad,
    chunksDone: 13,
  });
  await expectWhole(batchId);
  const places = await mill.house.database.rows<{ place: number }>(
    'select done_as as place from attempts where batch_id = $1 and done_as is not null order by 1',
    [batchId],
  );
  expect(places.map(({ place }) => place)).toEqual(Array.from({ length: 13 }, (_, at) => at + 1));
});

test('a store that loses whatever it is given: three times, and then the batch ends and reading says so', async () => {
  const { batchId, chunks } = await allDone();
  const { index } = chunks[0]!;
  for (let round = 0; round < 3; round++) {
    const [row] = await mill.house.database.rows<{ key: string }>(
      'select output_key as key from chunks where batch_id = $1 and index = $2',
      [batchId, index],
    );
    await rm(pathOf(row!.key));
    expect(await mill.finish(batchId)).toBe(false);
    expect(await mill.drain({ chunks: withoutFinisher() })).toBe(1);
  }
  const [row] = await mill.house.database.rows<{ key: string }>(
    'select output_key as key from chunks where batch_id = $1 and index = $2',
    [batchId, index],
  );
  await rm(pathOf(row!.key));
  expect(await mill.finish(batchId)).toBe(true);
  await expect(mill.records(batchId, 'output_file_id')).rejects.toMatchObject({
    code: 'segment_damaged',
    key: row!.key,
    foundBytes: null,
  });
});
