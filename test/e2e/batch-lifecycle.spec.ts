/** Batches paused, read while they run, and retried: through the `openai` package and fetch. */
import OpenAI from 'openai';
import { CursorPage } from 'openai/pagination';
import type { ChunkObject } from '@millrace/contracts';
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { connectSql, expireMeasuredSpeeds, type SqlClient } from '../support/sql.ts';
import { createWorkspace } from '../support/workspaces.ts';
import {
  waitForBatch,
  catchError,
  toJsonl,
  buildLine,
  readRecords,
  createBatch,
  type Batch,
  type ResultLine,
} from './support/batch-lines.ts';

let platform: Platform;
let sql: SqlClient;
let client: OpenAI;

beforeAll(async () => {
  platform = await startPlatform({ env: { CHUNK_WINDOW: '2', WORKER_SLOTS: '1' } });
  sql = await connectSql(platform.databaseUrl);
  client = new OpenAI({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await sql?.end();
  await platform?.stop();
});

beforeEach(() => expireMeasuredSpeeds(sql));

/** Lines that take `itemMs` each. */
const slowLines = (count: number, itemMs = 3) =>
  Array.from({ length: count }, (_, at) =>
    buildLine(`row-${at}`, { dimensions: 2, metadata: { sandbox: JSON.stringify({ item_ms: itemMs }) } }),
  );
const retrieve = async (id: string) => (await client.batches.retrieve(id)) as Batch;
const ids = (found: readonly { custom_id: string }[]) => found.map(({ custom_id }) => custom_id).sort();
const listIds = (lines: readonly { custom_id: string }[]) => ids(lines);

describe('pause and resume', () => {
  test('running chunks finish, the others wait until the batch is resumed', async () => {
    const lines = slowLines(1_500);
    const { id } = await createBatch(client, toJsonl(lines));
    await waitUntil(async () => (await retrieve(id)).request_counts!.completed > 0, {
      what: 'the first chunk',
    });
    const paused = (await client.post(`/batches/${id}/pause`)) as Batch;
    expect(paused).toMatchObject({ id, object: 'batch', status: 'in_progress', millrace: { paused: true } });
    const running = () =>
      sql.rows(`select 1 from chunks where batch_id = '${id}' and status in ('queued', 'running')`);
    await waitUntil(async () => (await running()).length === 0, { what: 'the running chunks to finish' });
    const whilePaused = await retrieve(id);
    expect(whilePaused.request_counts!.completed).toBeLessThan(lines.length);
    expect(whilePaused.millrace).toMatchObject({ paused: true, eta_seconds: null });
    // The dispatcher runs twice a second. It must not dispatch chunks of a paused batch.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect((await retrieve(id)).request_counts).toEqual(whilePaused.request_counts);

    expect(await client.post(`/batches/${id}/resume`)).toMatchObject({ millrace: { paused: false } });
    const batch = await waitForBatch(client, id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: lines.length } });
    expect(ids(await readRecords(client, batch.output_file_id))).toEqual(listIds(lines));
    expect(await catchError(client.post(`/batches/${id}/pause`))).toMatchObject({
      status: 409,
      code: 'batch_not_pausable',
    });
  });

  test('a paused batch can be cancelled, and every line is recorded', async () => {
    const lines = slowLines(1_000);
    const { id } = await createBatch(client, toJsonl(lines));
    expect(await client.post(`/batches/${id}/pause`)).toMatchObject({ millrace: { paused: true } });
    await waitUntil(async () => (await retrieve(id)).status === 'in_progress', { what: 'the plan' });
    expect(await client.batches.cancel(id)).toMatchObject({
      status: 'cancelling',
      millrace: { paused: false },
    });
    const batch = await waitForBatch(client, id);
    expect(batch).toMatchObject({ status: 'cancelled', millrace: { canceled_count: lines.length } });
    expect(ids(await readRecords(client, batch.error_file_id))).toEqual(listIds(lines));
  });

  test('an unknown batch, and one of another workspace, is not found', async () => {
    const { id } = await createBatch(client, toJsonl([buildLine('a')]));
    const otherClient = new OpenAI({
      apiKey: (await createWorkspace(sql)).apiKey,
      baseURL: `${platform.url}/v1`,
      maxRetries: 0,
    });
    for (const step of ['pause', 'resume']) {
      expect(await catchError(otherClient.post(`/batches/${id}/${step}`))).toMatchObject({ status: 404 });
      expect(await catchError(client.post(`/batches/batch_nothing/${step}`))).toMatchObject({ status: 404 });
    }
    await waitForBatch(client, id);
  });
});

describe('retry', () => {
  const flaky = (at: number) =>
    buildLine(`row-${at}`, {
      input: at % 7 === 0 ? 'boom' : 'ok',
      metadata: { sandbox: '{"reject":"boom"}' },
    });
  const retry = (id: string, key?: string) =>
    client.post<Batch>(`/batches/${id}/retry`, key ? { headers: { 'idempotency-key': key } } : {});

  test('runs only the failed lines, unchanged, with the metadata; one key creates one retry', async () => {
    const lines = Array.from({ length: 400 }, (_, at) => flaky(at));
    const failing = lines.filter(({ body }) => (body as { input?: string }).input === 'boom');
    const { id } = await createBatch(client, toJsonl(lines), { metadata: { job: 'nightly' } });
    const source = await waitForBatch(client, id);
    expect(source).toMatchObject({
      request_counts: { failed: failing.length },
      millrace: { retry_of: null },
    });
    const retries = await Promise.all([1, 2, 3].map(() => retry(id, 'again')));
    expect(new Set(retries.map((batch) => batch.id)).size).toBe(1);
    expect(retries[0]).toMatchObject({ metadata: { job: 'nightly' }, millrace: { retry_of: id } });
    const { input_file_id } = retries[0]!;
    const batch = await waitForBatch(client, retries[0]!.id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: failing.length } });
    expect(await (await client.files.content(input_file_id)).text()).toBe(toJsonl(failing));
    expect(ids(await readRecords(client, batch.error_file_id))).toEqual(listIds(failing));
    expect((await retry(id, 'again')).id).toBe(batch.id);
    // Without a key each call creates a batch. A retry can be retried.
    const next = await retry(batch.id);
    expect(next.millrace.retry_of).toBe(batch.id);
    await waitForBatch(client, next.id);
    expect((await compareStoredObjects(platform, sql)).unreferenced).toEqual([]);
  });

  test('runs the lines that did not run before a cancel', async () => {
    const lines = slowLines(1_000);
    const { id } = await createBatch(client, toJsonl(lines));
    await waitUntil(async () => (await retrieve(id)).request_counts!.completed > 0, {
      what: 'the first chunk',
    });
    expect(await catchError(retry(id))).toMatchObject({ status: 409, code: 'batch_not_retryable' });
    await client.batches.cancel(id);
    const source = await waitForBatch(client, id);
    const batch = await waitForBatch(client, (await retry(id)).id);
    expect(batch.status).toBe('completed');
    const expected = [
      ...(await readRecords(client, source.output_file_id)),
      ...(await readRecords(client, batch.output_file_id)),
    ];
    expect(ids(expected)).toEqual(listIds(lines));
  });

  test('is refused if no line failed, or if the error file is deleted', async () => {
    const good = await waitForBatch(client, (await createBatch(client, toJsonl([buildLine('a')]))).id);
    expect(await catchError(retry(good.id))).toMatchObject({ status: 409, code: 'nothing_to_retry' });
    for (const file of ['input_file_id', 'error_file_id'] as const) {
      const bad = await waitForBatch(client, (await createBatch(client, toJsonl([flaky(0)]))).id);
      await client.files.delete(bad[file]!);
      expect(await catchError(retry(bad.id))).toMatchObject({ status: 404 });
    }
  });
});

describe('results while the batch runs', () => {
  const getResults = (id: string, query = '', method = 'GET') =>
    fetch(`${platform.url}/v1/batches/${id}/results${query}`, {
      method,
      headers: { authorization: `Bearer ${platform.apiKey}` },
    });
  const parseLines = async (response: Response) =>
    (await response.text())
      .split('\n')
      .slice(0, -1)
      .map((each) => JSON.parse(each) as ResultLine);

  test('read page by page, they are every line once, as in the files', async () => {
    const lines = [
      ...slowLines(1_200),
      buildLine('wrong', { input: 'boom', metadata: { sandbox: '{"status":400}' } }),
    ];
    const { id } = await createBatch(client, toJsonl(lines));
    const seen: ResultLine[] = [];
    let after = '0';
    let pages = 0;
    for (let more = true; more;) {
      const response = await getResults(id, `?after=${after}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/x-ndjson');
      more = response.headers.get('x-incomplete') === 'true';
      after = response.headers.get('x-next-after')!;
      const found = await parseLines(response);
      if (found.length > 0) pages++;
      seen.push(...found);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(pages).toBeGreaterThan(2);
    expect(ids(seen)).toEqual(listIds(lines));
    const batch = await waitForBatch(client, id);
    const expected = [
      ...(await readRecords(client, batch.output_file_id)),
      ...(await readRecords(client, batch.error_file_id)),
    ];
    const byId = (found: ResultLine[]) => new Map(found.map((each) => [each.custom_id, each]));
    expect(byId(seen)).toEqual(byId(expected));
    const again = await getResults(id);
    expect(again.headers.get('x-incomplete')).toBeNull();
    expect(ids(await parseLines(again))).toEqual(listIds(lines));
    expect(await (await getResults(id, `?after=${after}`)).text()).toBe('');
    expect((await getResults(id, '', 'HEAD')).headers.get('x-next-after')).toBe(after);
  });

  test('invalid reads are refused', async () => {
    const { id } = await createBatch(client, toJsonl([buildLine('a')]));
    const batch = await waitForBatch(client, id);
    expect((await getResults(id, '?after=-1')).status).toBe(400);
    expect((await getResults(id, '?after=x')).status).toBe(400);
    await client.files.delete(batch.output_file_id!);
    const gone = await getResults(id);
    expect([gone.status, await gone.json()]).toEqual([
      404,
      { error: expect.objectContaining({ code: 'results_gone' }) },
    ]);
  });
});

test('chunks cover the batch without gaps, and are listed in pages', async () => {
  const lines = [...slowLines(230, 1), buildLine('wrong', { metadata: { sandbox: '{"status":400}' } })];
  const { id } = await createBatch(client, toJsonl(lines));
  await waitForBatch(client, id);
  const chunks: ChunkObject[] = [];
  const listed = client.getAPIList(`/batches/${id}/chunks`, CursorPage<ChunkObject>, { query: { limit: 2 } });
  for await (const chunk of listed as AsyncIterable<ChunkObject>) chunks.push(chunk);
  expect(chunks.map(({ index }) => index)).toEqual(chunks.map((_, at) => at));
  expect(chunks.length).toBeGreaterThan(4);
  const next = chunks.map(({ first_line, lines: count }) => first_line + count);
  expect([1, ...next]).toEqual([...chunks.map(({ first_line }) => first_line), lines.length + 1]);
  for (const chunk of chunks) {
    const { completed, failed, canceled, expired } = chunk.request_counts;
    expect(completed + failed + canceled + expired).toBe(chunk.lines);
    expect(chunk).toMatchObject({ object: 'batch.chunk', status: 'done', attempt: 1 });
    expect(chunk.finished_at!).toBeGreaterThanOrEqual(chunk.started_at!);
  }
  expect(chunks.at(-1)!.request_counts.failed).toBe(1);
  expect(await catchError(client.get(`/batches/${id}/chunks?limit=0`))).toMatchObject({ status: 400 });
});
