/** Batches with gzip output: every way to read their results, on both object storages. */
import { gunzipSync } from 'node:zlib';
import type OpenAI from 'openai';
import { waitUntil } from '../support/platform.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import {
  waitForBatch,
  catchError,
  toJsonl,
  buildLine,
  createBatch,
  type Batch,
  type ResultLine,
} from './support/batch-lines.ts';
import { objectStorages, type PlatformWithStorage } from './support/object-storages.ts';

const lines = Array.from({ length: 600 }, (_, at) =>
  buildLine(`row-${at}`, {
    dimensions: 2,
    input: at % 5 === 0 ? 'boom' : `text ${at}`,
    metadata: { sandbox: JSON.stringify({ reject: 'boom', item_ms: 1 }) },
  }),
);
const failingLines = lines.filter(({ body }) => (body as { input?: string }).input === 'boom');
const parseLines = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((each) => JSON.parse(each) as ResultLine);
const listIds = (found: readonly { custom_id: string }[]) => found.map(({ custom_id }) => custom_id).sort();

describe.each(objectStorages)('on %s', (_, start) => {
  let platform: PlatformWithStorage;
  let client: OpenAI;
  let sql: SqlClient;
  beforeAll(async () => {
    platform = await start({ env: { CHUNK_WINDOW: '2', WORKER_SLOTS: '1' } });
    ({ client } = platform);
    sql = await connectSql(platform.databaseUrl);
  });
  afterAll(async () => {
    await sql?.end();
    await platform?.stop();
  });

  const createGzipBatch = (content: string) =>
    createBatch(client, content, { output_format: 'jsonl.gz' } as object);
  const read = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const answer = await fetch(`${platform.url}/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${platform.apiKey}`, ...headers },
    });
    return { answer, bytes: Buffer.from(await answer.arrayBuffer()) };
  };

  test('a gzip file of many members can be read whole and by range; results and a retry read its lines', async () => {
    const { id, millrace } = await createGzipBatch(toJsonl(lines));
    expect(millrace).toMatchObject({ output_format: 'jsonl.gz' });
    // While the batch runs and after it: /results always sends plain lines.
    const received: ResultLine[] = [];
    let responsesWithLines = 0;
    for (let after = '0', more = true; more;) {
      const { answer, bytes } = await read(`/batches/${id}/results?after=${after}`);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
      more = answer.headers.get('x-incomplete') === 'true';
      after = answer.headers.get('x-next-after')!;
      if (bytes.length > 0) responsesWithLines++;
      received.push(...parseLines(bytes.toString()));
      if (more) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(responsesWithLines).toBeGreaterThan(1);
    expect(listIds(received)).toEqual(listIds(lines));

    const batch = await waitForBatch(client, id);
    expect(batch.request_counts).toEqual({
      total: lines.length,
      completed: lines.length - failingLines.length,
      failed: failingLines.length,
    });
    const files = { output: batch.output_file_id!, error: batch.error_file_id! };
    const records: ResultLine[] = [];
    for (const [which, fileId] of Object.entries(files)) {
      const file = await client.files.retrieve(fileId);
      expect(file.filename).toBe(`${id}_${which}.jsonl.gz`);
      const { answer, bytes } = await read(`/files/${fileId}/content`);
      expect(answer.headers.get('content-type')).toBe('application/gzip');
      expect(answer.headers.get('content-encoding')).toBeNull();
      expect(answer.headers.get('content-disposition')).toContain('.jsonl.gz');
      expect(bytes.length).toBe(file.bytes);
      expect(Number(answer.headers.get('content-length'))).toBe(file.bytes);
      const { chunks } = (
        await sql.rows<{ chunks: number }>(
          `select count(*)::int as chunks from file_segments where file_id = '${fileId}'`,
        )
      )[0]!;
      expect(chunks).toBeGreaterThan(1);
      records.push(...parseLines(gunzipSync(bytes).toString()));
      const middle = bytes.length >> 1;
      const range = await read(`/files/${fileId}/content`, { range: `bytes=${middle - 9}-${middle}` });
      expect(range.answer.headers.get('content-range')).toBe(`bytes ${middle - 9}-${middle}/${bytes.length}`);
      expect(range.bytes).toEqual(bytes.subarray(middle - 9, middle + 1));
      const head = await read(`/files/${fileId}/content`, {}, 'HEAD');
      expect(head.answer.headers.get('content-length')).toBe(String(bytes.length));
    }
    const byId = (found: ResultLine[]) => new Map(found.map((each) => [each.custom_id, each]));
    expect(byId(records)).toEqual(byId(received));
    expect(records).toHaveLength(lines.length);

    const retry = await client.post<Batch>(`/batches/${id}/retry`);
    expect(retry.millrace).toMatchObject({ retry_of: id, output_format: 'jsonl.gz' });
    const again = await waitForBatch(client, retry.id);
    expect(again).toMatchObject({ status: 'completed', output_file_id: null });
    expect(again.request_counts).toMatchObject({ total: failingLines.length, failed: failingLines.length });
    expect((await client.files.waitForProcessing(retry.input_file_id)).status).toBe('processed');
    expect(await (await client.files.content(retry.input_file_id)).text()).toBe(toJsonl(failingLines));
    const { bytes } = await read(`/files/${again.error_file_id}/content`);
    expect(listIds(parseLines(gunzipSync(bytes).toString()))).toEqual(listIds(failingLines));

    for (const each of [batch, again]) {
      for (const fileId of [each.input_file_id, each.output_file_id, each.error_file_id]) {
        if (fileId) await client.files.delete(fileId);
      }
    }
    await waitUntil(async () => (await platform.keys()).every((key) => !key.includes(id)), {
      what: 'its objects to be deleted',
    });
  });

  test('the files of a cancelled batch have all its lines', async () => {
    const { id } = await createGzipBatch(toJsonl(lines));
    await waitUntil(async () => (await client.batches.retrieve(id)).request_counts!.completed > 0, {
      what: 'the first chunk',
    });
    await client.batches.cancel(id);
    const batch = await waitForBatch(client, id);
    const found: ResultLine[] = [];
    for (const fileId of [batch.output_file_id, batch.error_file_id]) {
      const { bytes } = await read(`/files/${fileId}/content`);
      found.push(...parseLines(gunzipSync(bytes).toString()));
    }
    expect(listIds(found)).toEqual(listIds(lines));
  });

  test('the default format is jsonl, and an unknown format is refused', async () => {
    const plain = await createBatch(client, toJsonl([buildLine('a')]));
    expect(plain.millrace).toMatchObject({ output_format: 'jsonl' });
    const batch = await waitForBatch(client, plain.id);
    expect(await client.files.retrieve(batch.output_file_id!)).toMatchObject({
      filename: `${plain.id}_output.jsonl`,
    });
    const refused = createBatch(client, toJsonl([buildLine('a')]), { output_format: 'zip' } as object);
    expect(await catchError(refused)).toMatchObject({ status: 400, param: 'output_format' });
  });

  describe('a retry', () => {
    const stopWorkers = async () => {
      const [worker] = platform.workers.splice(0);
      worker!.child.kill('SIGKILL');
      await waitUntil(() => worker!.child.signalCode !== null, { what: 'the worker to exit' });
    };

    test('is created before its input is written; until then its input cannot be read or used', async () => {
      const source = await waitForBatch(client, (await createBatch(client, toJsonl(lines))).id);
      await stopWorkers();
      const retry = await client.post<Batch>(`/batches/${source.id}/retry`);
      const unread = await client.post<Batch>(`/batches/${source.id}/retry`);
      expect(retry).toMatchObject({ status: 'validating', millrace: { retry_of: source.id } });
      expect(await client.files.retrieve(retry.input_file_id)).toMatchObject({
        status: 'uploaded',
        bytes: 0,
      });
      expect(await catchError(client.files.content(retry.input_file_id))).toMatchObject({
        status: 409,
        code: 'file_not_processed',
      });
      const early = client.batches.create({
        input_file_id: retry.input_file_id,
        endpoint: '/v1/embeddings',
        completion_window: '24h',
      });
      expect(await catchError(early)).toMatchObject({ status: 400, code: 'file_not_processed' });
      // Cancelled before it is planned: it never has lines, and its input is never written.
      await client.batches.cancel(unread.id);
      expect(await waitForBatch(client, unread.id)).toMatchObject({
        status: 'cancelled',
        error_file_id: null,
      });
      expect(await client.files.retrieve(unread.input_file_id)).toMatchObject({ status: 'error' });

      await platform.addWorker();
      expect(await waitForBatch(client, retry.id)).toMatchObject({
        status: 'completed',
        request_counts: { total: failingLines.length },
      });
      const file = await client.files.retrieve(retry.input_file_id);
      expect(file).toMatchObject({ status: 'processed', bytes: Buffer.byteLength(toJsonl(failingLines)) });
    });

    test('fails with input_file_missing if its source is deleted before it is read', async () => {
      const source = await waitForBatch(client, (await createBatch(client, toJsonl(failingLines))).id);
      await stopWorkers();
      const { id, input_file_id } = await client.post<Batch>(`/batches/${source.id}/retry`);
      await client.files.delete(source.error_file_id!);
      await platform.addWorker();
      const batch = await waitForBatch(client, id);
      expect(batch).toMatchObject({ status: 'failed', errors: { data: [{ code: 'input_file_missing' }] } });
      expect(await client.files.retrieve(input_file_id)).toMatchObject({ status: 'error' });
    });
  });
});
