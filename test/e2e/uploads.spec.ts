/** A file in parts, through the stock client of two majors and on both stores: put together, refused, given up. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import OpenAI, { toFile } from 'openai';
import OpenAI6 from 'openai6';
import { waitUntil } from '../support/platform.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import { createWorkspace } from '../support/workspaces.ts';
import { waitForBatch, catchError, toJsonl, buildLine, readRecords } from './support/batch-lines.ts';
import { sendRaw, boundary, buildForm, repeatBytes } from './support/raw-http.ts';
import { objectStorages, type PlatformWithStorage } from './support/object-storages.ts';

const majors = { 'openai 7': OpenAI, 'openai 6': OpenAI6 as unknown as typeof OpenAI };
const partMaxBytes = 12 * 2 ** 20;
const lines = Array.from({ length: 3_000 }, (_, at) => buildLine(`row-${at}`, { dimensions: 2 }));
const content = Buffer.from(toJsonl(lines));
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');

/** Cuts anywhere: a line, a character, a mark. */
const cutAt = (bytes: Buffer, ...places: number[]) =>
  [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length));
const third = Math.floor(content.length / 3);
const pieces = cutAt(content, 1, 2, third, third + 1, 2 * third + 7);

describe.each(objectStorages)('on %s', (_, start) => {
  let platform: PlatformWithStorage;
  let sql: SqlClient;
  beforeAll(async () => {
    platform = await start({
      env: { UPLOAD_PART_MAX_BYTES: String(partMaxBytes), UPLOAD_MAX_BYTES: String(64 * 2 ** 20) },
    });
    sql = await connectSql(platform.databaseUrl);
  });
  afterAll(async () => {
    await sql?.end();
    await platform?.stop();
  });

  const keysOf = async (id: string) => (await platform.keys()).filter((key) => key.includes(id));
  const gone = (id: string) =>
    waitUntil(async () => (await keysOf(id)).length === 0, { what: `the objects of ${id} to go` });

  describe.each(Object.entries(majors))('%s', (__, Client) => {
    let client: OpenAI;
    const clientOf = (apiKey: string) => new Client({ apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
    beforeAll(() => {
      client = clientOf(platform.apiKey);
    });

    const create = (bytes: number, filename = 'rows.jsonl', over: Partial<OpenAI.UploadCreateParams> = {}) =>
      client.uploads.create({ bytes, filename, mime_type: 'application/jsonl', purpose: 'batch', ...over });
    const send = async (id: string, bytes: Buffer) =>
      (await client.uploads.parts.create(id, { data: await toFile(bytes, 'part') })).id;
    /** In parallel, the last one first. */
    const sendAll = async (id: string, parts: readonly Buffer[]) => {
      const sent = await Promise.all(
        [...parts.entries()].reverse().map(async ([at, part]) => [at, await send(id, part)] as const),
      );
      return sent.sort(([a], [b]) => a - b).map(([, part]) => part);
    };
    const rejects = async (call: Promise<unknown>, status: number, code: string) => {
      const error = await catchError(call);
      expect([error.status, error.code]).toEqual([status, code]);
      expect(error).toBeInstanceOf(Client.APIError);
    };

    test('created, sent in parallel and out of order, completed, run', async () => {
      const upload = await create(content.length, 'rows.jsonl', {
        expires_after: { anchor: 'created_at', seconds: 7_200 },
      });
      const announced = {
        id: expect.stringMatching(/^upload_[0-9a-f]{32}$/),
        object: 'upload',
        bytes: content.length,
        created_at: expect.closeTo(Date.now() / 1_000, -1.3),
        expires_at: upload.created_at + 3_600,
        filename: 'rows.jsonl',
        purpose: 'batch',
      };
      expect(upload).toEqual({ ...announced, status: 'pending' });
      const part = await client.uploads.parts.create(upload.id, { data: await toFile(pieces[0]!, 'a') });
      expect(part).toEqual({
        id: expect.stringMatching(/^part_[0-9a-f]{32}$/),
        object: 'upload.part',
        created_at: expect.closeTo(Date.now() / 1_000, -1.3),
        upload_id: upload.id,
      });
      // The answer to one was lost, so it was sent again: only those that are named count.
      await send(upload.id, pieces[1]!);
      const part_ids = [part.id, ...(await sendAll(upload.id, pieces.slice(1)))];
      const completed = await client.uploads.complete(upload.id, { part_ids, md5: md5(content) });
      expect(completed).toEqual({
        ...announced,
        status: 'completed',
        file: {
          id: expect.stringMatching(/^file_/),
          object: 'file',
          bytes: content.length,
          created_at: expect.closeTo(Date.now() / 1_000, -1.3),
          expires_at: completed.file!.created_at + 7_200,
          filename: 'rows.jsonl',
          purpose: 'batch',
          status: 'processed',
          status_details: null,
        },
      });
      const { file } = completed;
      expect(await client.files.retrieve(file!.id)).toEqual(file);
      expect(await (await client.files.content(file!.id)).text()).toBe(content.toString());
      const range = await client.files.content(file!.id, { headers: { range: 'bytes=1-1000' } });
      expect(Buffer.from(await range.arrayBuffer())).toEqual(content.subarray(1, 1_001));
      await waitUntil(async () => (await keysOf(upload.id)).length === pieces.length, {
        what: 'the part that nobody named to go',
      });

      expect(await client.uploads.complete(upload.id, { part_ids, md5: md5(content) })).toEqual(completed);
      await rejects(
        client.uploads.complete(upload.id, { part_ids: part_ids.slice(1) }),
        409,
        'upload_completed',
      );
      await rejects(send(upload.id, content), 409, 'upload_completed');
      await rejects(client.uploads.cancel(upload.id), 409, 'upload_completed');

      const batch = await waitForBatch(
        client,
        (
          await client.batches.create({
            input_file_id: file!.id,
            endpoint: '/v1/embeddings',
            completion_window: '24h',
          })
        ).id,
      );
      expect(batch).toMatchObject({
        status: 'completed',
        request_counts: { total: lines.length, failed: 0 },
      });
      const ids = (await readRecords(client, batch.output_file_id)).map(({ custom_id }) => custom_id);
      expect(ids.toSorted()).toEqual(lines.map(({ custom_id }) => custom_id).toSorted());
      await client.files.delete(file!.id);
      await gone(upload.id);
      expect(await client.get(`/uploads/${upload.id}`)).toMatchObject({ status: 'completed', file: null });
    });

    test('errors name the lines of the whole, across its parts', async () => {
      const wrong = Buffer.from(
        `\ufeff${toJsonl([...lines, buildLine('row-5'), buildLine('row-2999')])}{"cut": `,
      );
      const upload = await create(wrong.length);
      const part_ids = await sendAll(upload.id, cutAt(wrong, 1, 2, third, third + 1));
      const { file } = await client.uploads.complete(upload.id, { part_ids });
      const asked = {
        input_file_id: file!.id,
        endpoint: '/v1/embeddings',
        completion_window: '24h',
      } as const;
      const errors = [
        { code: 'duplicate_custom_id', line: 3_001, message: expect.stringContaining('on line 6. ') },
        { code: 'duplicate_custom_id', line: 3_002, message: expect.stringContaining('on line 3000. ') },
        { code: 'invalid_json_line', line: 3_003 },
      ];
      const batch = await waitForBatch(client, (await client.batches.create(asked)).id);
      expect(batch).toMatchObject({ status: 'failed', errors: { data: errors } });
      const strict = await catchError(client.post('/batches?validate=strict', { body: asked }));
      expect(strict.error).toMatchObject({ errors: { data: errors } });
    });

    test('gzip in parts is expanded, whatever its members and its cuts', async () => {
      const packed = Buffer.concat([gzipSync(content.subarray(0, third)), gzipSync(content.subarray(third))]);
      const upload = await create(packed.length, 'rows.jsonl.gz');
      const part_ids = await sendAll(upload.id, cutAt(packed, 1, 9, 20, packed.length >> 1));
      await rejects(client.uploads.complete(upload.id, { part_ids, md5: md5(content) }), 400, 'md5_mismatch');
      const asked = { part_ids, md5: md5(packed).toUpperCase() };
      const both = await Promise.all([1, 2].map(() => client.uploads.complete(upload.id, asked)));
      expect(both[1]).toEqual(both[0]);
      const { file } = both[0]!;
      expect(file).toMatchObject({ filename: 'rows.jsonl', bytes: content.length, status: 'processed' });
      expect(await (await client.files.content(file!.id)).text()).toBe(content.toString());
      await gone(upload.id);
      expect(await keysOf(file!.id)).toHaveLength(1);
      await client.files.delete(file!.id);

      const broken = await create(100, 'rows.jsonl.gz');
      const cut = await sendAll(broken.id, [packed.subarray(0, 60), packed.subarray(60, 100)]);
      await rejects(client.uploads.complete(broken.id, { part_ids: cut }), 400, 'invalid_gzip');
      const bomb = gzipSync(Buffer.alloc(70 * 2 ** 20));
      const large = await create(bomb.length, 'bomb.jsonl.gz');
      await rejects(
        client.uploads.complete(large.id, { part_ids: await sendAll(large.id, [bomb]) }),
        413,
        'expands_too_much',
      );
      for (const { id } of [broken, large]) {
        expect(await client.uploads.cancel(id)).toMatchObject({ id, status: 'cancelled' });
        await gone(id);
      }
    });

    test('what does not fit is refused, and may be mended', async () => {
      const upload = await create(content.length);
      const other = await create(1);
      const [foreign] = await sendAll(other.id, [Buffer.from('x')]);
      const part_ids = await sendAll(upload.id, pieces);
      const complete = (body: Partial<OpenAI.UploadCompleteParams>) =>
        client.uploads.complete(upload.id, { part_ids, ...body });
      await rejects(complete({ part_ids: part_ids.slice(1) }), 400, 'bytes_mismatch');
      await rejects(complete({ part_ids: [...part_ids, foreign!] }), 400, 'part_not_found');
      await rejects(complete({ part_ids: [...part_ids, part_ids[0]!] }), 400, 'duplicate_part');
      await rejects(complete({ part_ids: part_ids.toReversed(), md5: md5(content) }), 400, 'md5_mismatch');
      await rejects(complete({ part_ids: [] }), 400, 'invalid_request');
      await rejects(complete({ md5: 'no' }), 400, 'invalid_request');
      expect(await complete({ md5: md5(content) })).toMatchObject({ status: 'completed' });

      await rejects(create(64 * 2 ** 20 + 1), 413, 'file_too_large');
      await rejects(create(0), 400, 'invalid_request');
      await rejects(create(1, 'rows.csv'), 400, 'invalid_file_format');
      await rejects(send(other.id, Buffer.alloc(0)), 400, 'empty_part');
      await rejects(send(other.id, Buffer.alloc(partMaxBytes + 1)), 413, 'part_too_large');
      await rejects(client.post(`/uploads/${other.id}/parts`, { body: {} }), 400, 'invalid_request');
      const stranger = clientOf((await createWorkspace(sql)).apiKey);
      const data = await toFile(Buffer.from('x'), 'x');
      await rejects(stranger.uploads.parts.create(other.id, { data }), 404, 'upload_not_found');
      await rejects(stranger.uploads.complete(other.id, { part_ids: [foreign!] }), 404, 'upload_not_found');
      await rejects(stranger.uploads.cancel(other.id), 404, 'upload_not_found');
      await rejects(client.uploads.cancel('upload_none'), 404, 'upload_not_found');

      expect(await client.uploads.cancel(other.id)).toEqual({ ...other, status: 'cancelled' });
      expect(await client.uploads.cancel(other.id)).toMatchObject({ status: 'cancelled' });
      await rejects(send(other.id, content), 409, 'upload_cancelled');
      await rejects(client.uploads.complete(other.id, { part_ids: [foreign!] }), 409, 'upload_cancelled');
      await gone(other.id);
    });

    test('past its hour it has expired, and its parts go', async () => {
      const upload = await create(content.length);
      const part_ids = await sendAll(upload.id, pieces);
      expect(await keysOf(upload.id)).toHaveLength(pieces.length);
      await sql.rows(`update uploads set expires_at = now() where id = '${upload.id}'`);
      await rejects(client.uploads.complete(upload.id, { part_ids }), 409, 'upload_expired');
      await gone(upload.id);
      expect(await client.get(`/uploads/${upload.id}`)).toMatchObject({ status: 'expired' });
      const rows = `select 1 from upload_parts where upload_id = '${upload.id}'`;
      await waitUntil(async () => (await sql.rows(rows)).length === 0, { what: 'its rows to go' });
    });
  });

  test('a connection that is cut in the middle of a part leaves nothing', async () => {
    const { id } = await platform.client.uploads.create({
      bytes: 2 ** 23,
      filename: 'a.bin',
      mime_type: 'application/octet-stream',
      purpose: 'user_data',
    });
    const before = new Set(await platform.keys());
    const halves = async () => (await platform.keys()).filter((key) => !before.has(key));
    const { hostname, port } = new URL(platform.url);
    const sending = request({
      hostname,
      port,
      method: 'POST',
      path: `/v1/uploads/${id}/parts`,
      headers: {
        authorization: `Bearer ${platform.apiKey}`,
        'content-type': `multipart/form-data; boundary=${boundary}`,
      },
    });
    sending.on('error', () => undefined);
    sending.write(`--${boundary}\r\ncontent-disposition: form-data; name="data"; filename="a"\r\n\r\n`);
    // More than an S3 part of 8 MiB, so that on either store something has been written.
    for await (const bytes of repeatBytes('x', 9 * 2 ** 20)) {
      if (!sending.write(bytes)) await once(sending, 'drain');
    }
    await waitUntil(async () => (await halves()).length > 0, { what: 'some of it to be written' });
    sending.destroy();
    await waitUntil(async () => (await halves()).length === 0, { what: 'what was written of it to go' });
    expect(await sql.rows(`select 1 from upload_parts where upload_id = '${id}'`)).toEqual([]);
  });

  test('a form that holds no part, or two', async () => {
    const { id } = await platform.client.uploads.create({
      bytes: 2,
      filename: 'a.bin',
      mime_type: 'application/octet-stream',
      purpose: 'user_data',
    });
    const data = { file: 'data', name: 'a', content: Buffer.from('a') };
    for (const parts of [[data, data], [{ ...data, file: 'file' }], [{ field: 'data', value: 'a' }], []]) {
      const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
      const answer = await sendRaw(platform, {
        path: `/v1/uploads/${id}/parts`,
        headers,
        body: buildForm(parts),
      });
      expect([answer.status, answer.error.param]).toEqual([400, 'data']);
    }
    expect(await keysOf(id)).toEqual([]);
  });
});
