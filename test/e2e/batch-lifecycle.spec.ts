/** A batch held back, looked at while it runs, and run again where it failed: through the stock client and fetch. */
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

/** Lines of which each takes its time. */
const slowLines = (count: number, itemMs = 3) =>
  Array.from({ length: count }, (_, at) =>
    buildLine(`row-${at}`, { dimensions: 2, metadata: { sandbox: JSON.stringify({ item_ms: itemMs }) } }),
  );
const retrieve = async (id: string) => (await client.batches.retrieve(id)) as Batch;
const ids = (found: readonly { custom_id: string }[]) => found.map(({ custom_id }) => custom_id).sort();
const idsOf = (lines: readonly { custom_id: string }[]) => ids(lines);

describe('pause and resume', () => {
  test('what runs finishes, the rest waits, and goes on when told', async () => {
    const lines = slowLines(1_500);
    const { id } = await createBatch(client, toJsonl(lines));
    await waitUntil(async () => (await retrieve(id)).request_counts!.completed > 0, {
      what: 'a first chunk',
    });
    const paused = (await client.post(`/batches/${id}/pause`)) as Batch;
    expect(paused).toMatchObject({ id, object: 'batch', status: 'in_progress', millrace: { paused: true } });
    const running = () =>
      sql.rows(`select 1 from chunks where batch_id = '${id}' and status in ('queued', 'running')`);
    await waitUntil(async () => (await running()).length === 0, { what: 'the running chunks to finish' });
    const held = await retrieve(id);
    expect(held.request_counts!.completed).toBeLessThan(lines.length);
    expect(held.millrace).toMatchObject({ paused: true, eta_seconds: null });
    // The dispatcher looks twice a second; a batch that is held is none of its business.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect((await retrieve(id)).request_counts).toEqual(held.request_counts);

    expect(await client.post(`/batches/${id}/resume`)).toMatchObject({ millrace: { paused: false } });
    const batch = await waitForBatch(client, id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: lines.length } });
    expect(ids(await readRecords(client, batch.output_file_id))).toEqual(idsOf(lines));
    expect(await catchError(client.post(`/batches/${id}/pause`))).toMatchObject({
      status: 409,
      code: 'batch_not_pausable',
    });
  });

  test('a paused batch can be cancelled, and ends with every line recorded', async () => {
    const lines = slowLines(1_000);
    const { id } = await createBatch(client, toJsonl(lines));
    expect(await client.post(`/batches/${id}/pause`)).toMatchObject({ millrace: { paused: true } });
    await waitUntil(async () => (await retrieve(id)).status === 'in_progress', { what: 'its plan' });
    expect(await client.batches.cancel(id)).toMatchObject({
      status: 'cancelling',
      millrace: { paused: false },
    });
    const batch = await waitForBatch(client, id);
    expect(batch).toMatchObject({ status: 'cancelled', millrace: { canceled_count: lines.length } });
    expect(ids(await readRecords(client, batch.error_file_id))).toEqual(idsOf(lines));
  });

  test('one that is not there, or a stranger’s, is not found', async () => {
    const { id } = await createBatch(client, toJsonl([buildLine('a')]));
    const stranger = new OpenAI({
      apiKey: (await createWorkspace(sql)).apiKey,
      baseURL: `${platform.url}/v1`,
      maxRetries: 0,
    });
    for (const step of ['pause', 'resume']) {
      expect(await catchError(stranger.post(`/batches/${id}/${step}`))).toMatchObject({ status: 404 });
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

  test('the failed lines alone, byte for byte, with the metadata; the same key makes one', async () => {
    const lines = Array.from({ length: 400 }, (_, at) => flaky(at));
    const wrong = lines.filter(({ body }) => (body as { input?: string }).input === 'boom');
    const { id } = await createBatch(client, toJsonl(lines), { metadata: { job: 'nightly' } });
    const source = await waitForBatch(client, id);
    expect(source).toMatchObject({
      request_counts: { failed: wrong.length },
      millrace: { retry_of: null },
    });
    const made = await Promise.all([1, 2, 3].map(() => retry(id, 'again')));
    expect(new Set(made.map((batch) => batch.id)).size).toBe(1);
    expect(made[0]).toMatchObject({ metadata: { job: 'nightly' }, millrace: { retry_of: id } });
    const { input_file_id } = made[0]!;
    const batch = await waitForBatch(client, made[0]!.id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: wrong.length } });
    expect(await (await client.files.content(input_file_id)).text()).toBe(toJsonl(wrong));
    expect(ids(await readRecords(client, batch.error_file_id))).toEqual(idsOf(wrong));
    expect((await retry(id, 'again')).id).toBe(batch.id);
    // Without a key each call makes a batch, as creation does; a retry can be retried.
    const next = await retry(batch.id);
    expect(next.millrace.retry_of).toBe(batch.id);
    await waitForBatch(client, next.id);
    expect((await compareStoredObjects(platform, sql)).unreferenced).toEqual([]);
  });

  test('lines that a cancel kept from running run now', async () => {
    const lines = slowLines(1_000);
    const { id } = await createBatch(client, toJsonl(lines));
    await waitUntil(async () => (await retrieve(id)).request_counts!.completed > 0, {
      what: 'a first chunk',
    });
    expect(await catchError(retry(id))).toMatchObject({ status: 409, code: 'batch_not_retryable' });
    await client.batches.cancel(id);
    const source = await waitForBatch(client, id);
    const batch = await waitForBatch(client, (await retry(id)).id);
    expect(batch.status).toBe('completed');
    const whole = [
      ...(await readRecords(client, source.output_file_id)),
      ...(await readRecords(client, batch.output_file_id)),
    ];
    expect(ids(whole)).toEqual(idsOf(lines));
  });

  test('nothing failed, or what failed is gone', async () => {
    const good = await waitForBatch(client, (await createBatch(client, toJsonl([buildLine('a')]))).id);
    expect(await catchError(retry(good.id))).toMatchObject({ status: 409, code: 'nothing_to_retry' });
    for (const file of ['input_file_id', 'error_file_id'] as const) {
      const bad = await waitForBatch(client, (await createBatch(client, toJsonl([flaky(0)]))).id);
      await client.files.delete(bad[file]!);
      expect(await catchError(retry(bad.id))).toMatchObject({ status: 404 });
    }
  });
});

describe('results while it runs', () => {
  const ask = (id: string, query = '', method = 'GET') =>
    fetch(`${platform.url}/v1/batches/${id}/results${query}`, {
      method,
      headers: { authorization: `Bearer ${platform.apiKey}` },
    });
  const parsed = async (answer: Response) =>
    (await answer.text())
      .split('\n')
      .slice(0, -1)
      .map((each) => JSON.parse(each) as ResultLine);

  test('read on and on, they are every line once, as the files have them', async () => {
    const lines = [
      ...slowLines(1_200),
      buildLine('wrong', { input: 'boom', metadata: { sandbox: '{"status":400}' } }),
    ];
    const { id } = await createBatch(client, toJsonl(lines));
    const seen: ResultLine[] = [];
    let after = '0';
    let rounds = 0;
    for (let more = true; more;) {
      const answer = await ask(id, `?after=${after}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
      more = answer.headers.get('x-incomplete') === 'true';
      after = answer.headers.get('x-next-after')!;
      const found = await parsed(answer);
      if (found.length > 0) rounds++;
      seen.push(...found);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(rounds).toBeGreaterThan(2);
    expect(ids(seen)).toEqual(idsOf(lines));
    const batch = await waitForBatch(client, id);
    const whole = [
      ...(await readRecords(client, batch.output_file_id)),
      ...(await readRecords(client, batch.error_file_id)),
    ];
    const byId = (found: ResultLine[]) => new Map(found.map((each) => [each.custom_id, each]));
    expect(byId(seen)).toEqual(byId(whole));
    const again = await ask(id);
    expect(again.headers.get('x-incomplete')).toBeNull();
    expect(ids(await parsed(again))).toEqual(idsOf(lines));
    expect(await (await ask(id, `?after=${after}`)).text()).toBe('');
    expect((await ask(id, '', 'HEAD')).headers.get('x-next-after')).toBe(after);
  });

  test('what can not be read is said', async () => {
    const { id } = await createBatch(client, toJsonl([buildLine('a')]));
    const batch = await waitForBatch(client, id);
    expect((await ask(id, '?after=-1')).status).toBe(400);
    expect((await ask(id, '?after=x')).status).toBe(400);
    await client.files.delete(batch.output_file_id!);
    const gone = await ask(id);
    expect([gone.status, await gone.json()]).toEqual([
      404,
      { error: expect.objectContaining({ code: 'results_gone' }) },
    ]);
  });
});

test('its chunks are a map of it, paged as the stock client pages', async () => {
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
