/** How fast a model has lately been, as the planner asks for it. */
import { createStoresFixture, buildChunkResult, type StoresFixture } from './stores-fixture.ts';

let house: StoresFixture;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());

/** Attempts of so many lines that took so many seconds each. */
async function ran(model: string, times: number, lines: number, seconds: number, over = ''): Promise<void> {
  const batchId = await house.submitted(await house.workspace());
  await house.database.rows(
    `insert into attempts (workspace_id, batch_id, chunk, number, worker_id, provider, model, lines, started_at,
       finished_at, outcome)
     select 'ws', $1, n, 1, 'w', 'p', $2, $4, now() - make_interval(secs => $5) ${over}, now() ${over}, 'succeeded'
     from generate_series(1, $3::int) n`,
    [batchId, model, times, lines, seconds],
  );
}

test('the median of its newest chunks; nothing while too few are known', async () => {
  expect(await house.plans.getLinesPerSecond('m')).toBeNull();
  await ran('m', 4, 4_000, 2);
  await ran('another', 50, 4_000, 1);
  expect(await house.plans.getLinesPerSecond('m')).toBeNull();
  await ran('m', 1, 4_000, 2);
  expect(await house.plans.getLinesPerSecond('m')).toBeCloseTo(2_000);
  // Some that were slow on purpose do not count for all.
  await ran('m', 3, 10, 1_000);
  expect(await house.plans.getLinesPerSecond('m')).toBeCloseTo(2_000);
  await ran('m', 100, 100, 10);
  expect(await house.plans.getLinesPerSecond('m')).toBeCloseTo(10);
});

test('what is long ago, was lost or failed says nothing', async () => {
  await ran('old', 20, 4_000, 1, "- interval '25 hours'");
  await ran('lost', 20, 4_000, 1);
  await house.database.rows(`update attempts set outcome = 'lost' where model = 'lost'`);
  expect(await house.plans.getLinesPerSecond('old')).toBeNull();
  expect(await house.plans.getLinesPerSecond('lost')).toBeNull();
});

test('lines recorded as not run are no work that was done', async () => {
  const workspaceId = await house.workspace();
  const batchId = await house.planned(workspaceId, 2);
  const held = [];
  for (const delivery of await house.chunks.dispatch(8, 100))
    held.push(await house.chunks.claim(delivery, 'w'));
  await house.chunks.commit(held[0]!, buildChunkResult(held[0]!));
  await house.chunks.commit(held[1]!, buildChunkResult(held[1]!, { completed: 1, expired: 9 }));
  const attempts = await house.database.rows<{ lines: number }>(
    'select lines from attempts where batch_id = $1 order by chunk',
    [batchId],
  );
  expect(attempts.map(({ lines }) => lines)).toEqual([10, 1]);
});
