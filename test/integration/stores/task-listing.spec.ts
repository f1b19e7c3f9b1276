/** Task lists with many rows: each filter reads an index, and each page starts where the last one ended. */
import { createId, taskListQuery } from '@millrace/contracts';
import { createStoresFixture, type StoresFixture } from './stores-fixture.ts';

let fixture: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  fixture = await createStoresFixture();
  workspaceId = await fixture.createWorkspace();
  await fixture.database.rows(
    `insert into tasks (id, workspace_id, kind, model, provider, pool, status, input, metadata)
     select 'task_' || lpad(to_hex((1.7e12 + n * 1000)::bigint), 12, '0') || '70008000000000000000', $1,
       (array['translation', 'summarization', 'text-to-image'])[n % 3 + 1], 'm/' || n % 50, 'm', 'remote',
       case when n % 1000 = 0 then 'failed' else 'succeeded' end, '{}', jsonb_build_object('job', (n % 5000)::text)
     from generate_series(1, 50000) n`,
    [workspaceId],
  );
  await fixture.database.rows('analyze tasks', []);
});
afterAll(() => fixture?.close());

const page = (query: object) => taskListQuery.parse(query);
const list = (query: object) => fixture.tasks.list(workspaceId, page(query));

test.each<[string, object, RegExp]>([
  ['all', {}, /tasks_listing|tasks_pkey|PK_/i],
  ['after a task', { after: `task_${'018bcfe5a000'}${'7'.padEnd(20, '0')}` }, /tasks_listing|pkey|PK_/i],
  ['by status', { status: 'failed' }, /tasks_by_status/],
  ['by kind', { kind: 'translation' }, /tasks_by_kind|tasks_listing|pkey/],
  ['by model', { model: 'm/7' }, /tasks_by_model/],
  ['by metadata', { metadata: '{"job":"77"}' }, /tasks_by_metadata/],
  ['by time', { created_after: 1_700_049_000, created_before: 1_700_049_010 }, /tasks_listing|pkey|PK_/i],
])('%s: reads an index and few rows', async (_, query, index) => {
  const plan = await fixture.tasks.explainList(workspaceId, page(query));
  expect(plan).toMatch(index);
  expect(plan).not.toContain('Seq Scan');
  const rowCounts = [...plan.matchAll(/actual rows=(\d+)/g)].map(([, rows]) => Number(rows));
  expect(Math.max(...rowCounts)).toBeLessThan(1_000);
});

test('filters return matching tasks, and pages are complete', async () => {
  expect(await list({ metadata: '{"job":"77"}', limit: 100 })).toHaveLength(10);
  expect((await list({ status: 'failed', limit: 100 })).map(({ status }) => status)).toEqual(
    Array(50).fill('failed'),
  );
  expect(await list({ created_after: 1_700_000_001, created_before: 1_700_000_011 })).toHaveLength(10);
  const seen = new Set<string>();
  for (let after: string | undefined; ;) {
    const rows = await list({ model: 'm/7', order: 'asc', limit: 100, ...(after && { after }) });
    for (const { id } of rows.slice(0, 100)) seen.add(id);
    if (rows.length <= 100) break;
    after = rows[99]!.id;
  }
  expect(seen.size).toBe(1_000);
  expect(await list({ after: createId('task'), metadata: { none: '1' } })).toEqual([]);
});
