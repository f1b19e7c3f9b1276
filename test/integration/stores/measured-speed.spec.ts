/** The recent speed of a model, by which the planner sizes chunks. */
import { createStoresFixture, buildChunkResult, type StoresFixture } from './stores-fixture.ts';

let fixture: StoresFixture;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());

/** Inserts attempts with this number of lines and duration. @param offset added to their times, in SQL. */
async function insertAttempts(
  model: string,
  count: number,
  lines: number,
  seconds: number,
  offset = '',
): Promise<void> {
  const batchId = await fixture.createBatch(await fixture.createWorkspace());
  await fixture.database.rows(
    `insert into attempts (workspace_id, batch_id, chunk, number, worker_id, provider, model, lines, started_at,
       finished_at, outcome)
     select 'ws', $1, n, 1, 'w', 'p', $2, $4, now() - make_interval(secs => $5) ${offset}, now() ${offset}, 'succeeded'
     from generate_series(1, $3::int) n`,
    [batchId, model, count, lines, seconds],
  );
}

test('is the median of the newest chunks; null if too few were measured', async () => {
  expect(await fixture.plans.getLinesPerSecond('m')).toBeNull();
  await insertAttempts('m', 4, 4_000, 2);
  await insertAttempts('another', 50, 4_000, 1);
  expect(await fixture.plans.getLinesPerSecond('m')).toBeNull();
  await insertAttempts('m', 1, 4_000, 2);
  expect(await fixture.plans.getLinesPerSecond('m')).toBeCloseTo(2_000);
  // A few slow chunks do not change the median.
  await insertAttempts('m', 3, 10, 1_000);
  expect(await fixture.plans.getLinesPerSecond('m')).toBeCloseTo(2_000);
  await insertAttempts('m', 100, 100, 10);
  expect(await fixture.plans.getLinesPerSecond('m')).toBeCloseTo(10);
});

test('ignores old and lost attempts', async () => {
  await insertAttempts('old', 20, 4_000, 1, "- interval '25 hours'");
  await insertAttempts('lost', 20, 4_000, 1);
  await fixture.database.rows(`update attempts set outcome = 'lost' where model = 'lost'`);
  expect(await fixture.plans.getLinesPerSecond('old')).toBeNull();
  expect(await fixture.plans.getLinesPerSecond('lost')).toBeNull();
});

test('does not count lines recorded as not run', async () => {
  const workspaceId = await fixture.createWorkspace();
  const batchId = await fixture.createPlannedBatch(workspaceId, 2);
  const claimed = [];
  for (const queued of await fixture.chunkQueue.dispatch(8, 100))
    claimed.push(await fixture.chunks.claim(queued, 'w'));
  await fixture.chunks.commit(claimed[0]!, buildChunkResult(claimed[0]!));
  await fixture.chunks.commit(claimed[1]!, buildChunkResult(claimed[1]!, { completed: 1, expired: 9 }));
  const attempts = await fixture.database.rows<{ lines: number }>(
    'select lines from attempts where batch_id = $1 order by chunk',
    [batchId],
  );
  expect(attempts.map(({ lines }) => lines)).toEqual([10, 1]);
});
