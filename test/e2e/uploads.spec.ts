/** Uploads in parts with two major versions of the OpenAI client and on both storages: completed, rejected, cancelled, expired. */
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

/** Splits at any byte: within a line, a character, or a byte order mark. */
const splitAt = (bytes: Buffer, ...places: number[]) =>
  [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length));
const third = Math.floor(content.length / 3);
const pieces = splitAt(content, 1, 2, third, third + 1, 2 * third + 7);

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

  const listKeysOf = async (id: string) => (await platform.keys()).filter((key) => key.includes(id));
  const waitUntilDeleted = (id: string) =>
    waitUntil(async () => (await listKeysOf(id)).length === 0, {
      what: `the objects of ${id} to be deleted`,
    });

  describe.each(Object.entries(majors))('%s', (__, Client) => {
    let client: OpenAI;
    const createClient = (apiKey: string) =>
      new Client({ apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
    beforeAll(() => {
      client = createClient(platform.apiKey);
    });

    const create = (bytes: number, filename = 'rows.jsonl', over: Partial<OpenAI.UploadCreateParams> = {}) =>
      client.uploads.create({ bytes, filename, mime_type: 'application/jsonl', purpose: 'batch', ...over });
    const send = async (id: string, bytes: Buffer) =>
      (await client.uploads.parts.create(id, { data: await toFile(bytes, 'part') })).id;
    /** Sends the parts in parallel, the last one first. */
    const sendAll = async (id: string, parts: readonly Buffer[]) => {
      const sent = await Promise.all(
        [...parts.entries()].reverse().map(async ([at, part]) => [at, await send(id, part)] as const),
      );
      return sent.sort(([a], [b]) => a - b).map(([, part]) => part);
    };
    const expectError = async (call: Promise<unknown>, status: number, code: string) => {
      const error = await catchError(call);
      expect([error.status, error.code]).toEqual([status, code]);
      expect(error).toBeInstanceOf(Client.APIError);
    };

    test('an upload is created, sent in parallel and out of order, completed, and its batch runs', async () => {
      const upload = await create(content.length, 'rows.jsonl', {
        expires_after: { anchor: 'created_at', seconds: 7_200 },
      });
      const created = {
        id: expect.stringMatching(/^upload_[0-9a-f]{32}$/),
        object: 'upload',
        bytes: content.length,
        created_at: expect.closeTo(Date.now() / 1_000, -1.3),
        expires_at: upload.created_at + 3_600,
        filename: 'rows.jsonl',
        purpose: 'batch',
      };
      expect(upload).toEqual({ ...created, status: 'pending' });
      const part = await client.uploads.parts.create(upload.id, { data: await toFile(pieces[0]!, 'a') });
      expect(part).toEqual({
        id: expect.stringMatching(/^part_[0-9a-f]{32}$/),
        object: 'upload.part',
        created_at: expect.closeTo(Date.now() / 1_000, -1.3),
        upload_id: upload.id,
      });
      // A part that was sent twice because its response was lost: only the listed parts count.
      await send(upload.id, pieces[1]!);
      const part_ids = [part.id, ...(await sendAll(upload.id, pieces.slice(1)))];
      const completed = await client.uploads.complete(upload.id, { part_ids, md5: md5(content) });
      expect(completed).toEqual({
        ...created,
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
      await waitUntil(async () => (await listKeysOf(upload.id)).length === pieces.length, {
        what: 'the part that was not listed to be deleted',
      });

      expect(await client.uploads.complete(upload.id, { part_ids, md5: md5(content) })).toEqual(completed);
      await expectError(
        client.uploads.complete(upload.id, { part_ids: part_ids.slice(1) }),
        409,
        'upload_completed',
      );
      await expectError(send(upload.id, content), 409, 'upload_completed');
      await expectError(client.uploads.cancel(upload.id), 409, 'upload_completed');

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
      await waitUntilDeleted(upload.id);
      expect(await client.get(`/uploads/${upload.id}`)).toMatchObject({ status: 'completed', file: null });
    });

    test('errors have the line numbers of the whole file', async () => {
      const wrong = Buffer.from(
        `\ufeff${toJsonl([...lines, buildLine('row-5'), buildLine('row-2999')])}{"cut": `,
      );
      const upload = await create(wrong.length);
      const part_ids = await sendAll(upload.id, splitAt(wrong, 1, 2, third, third + 1));
      const { file } = await client.uploads.complete(upload.id, { part_ids });
      const params = {
        input_file_id: file!.id,
        endpoint: '/v1/embeddings',
        completion_window: '24h',
      } as const;
      const errors = [
        { code: 'duplicate_custom_id', line: 3_001, message: expect.stringContaining('on line 6. ') },
        { code: 'duplicate_custom_id', line: 3_002, message: expect.stringContaining('on line 3000. ') },
        { code: 'invalid_json_line', line: 3_003 },
      ];
      const batch = await waitForBatch(client, (await client.batches.create(params)).id);
      expect(batch).toMatchObject({ status: 'failed', errors: { data: errors } });
      const strict = await catchError(client.post('/batches?validate=strict', { body: params }));
      expect(strict.error).toMatchObject({ errors: { data: errors } });
    });

    test('a gzip file in parts is expanded, with several members and any split', async () => {
      const packed = Buffer.concat([gzipSync(content.subarray(0, third)), gzipSync(content.subarray(third))]);
      const upload = await create(packed.length, 'rows.jsonl.gz');
      const part_ids = await sendAll(upload.id, splitAt(packed, 1, 9, 20, packed.length >> 1));
      await expectError(
        client.uploads.complete(upload.id, { part_ids, md5: md5(content) }),
        400,
        'md5_mismatch',
      );
      const params = { part_ids, md5: md5(packed).toUpperCase() };
      const both = await Promise.all([1, 2].map(() => client.uploads.complete(upload.id, params)));
      expect(both[1]).toEqual(both[0]);
      const { file } = both[0]!;
      expect(file).toMatchObject({ filename: 'rows.jsonl', bytes: content.length, status: 'processed' });
      expect(await (await client.files.content(file!.id)).text()).toBe(content.toString());
      await waitUntilDeleted(upload.id);
      expect(await listKeysOf(file!.id)).toHaveLength(1);
      await client.files.delete(file!.id);

      const broken = await create(100, 'rows.jsonl.gz');
      const brokenParts = await sendAll(broken.id, [packed.subarray(0, 60), packed.subarray(60, 100)]);
      await expectError(client.uploads.complete(broken.id, { part_ids: brokenParts }), 400, 'invalid_gzip');
      const bomb = gzipSync(Buffer.alloc(70 * 2 ** 20));
      const large = await create(bomb.length, 'bomb.jsonl.gz');
      await expectError(
        client.uploads.complete(large.id, { part_ids: await sendAll(large.id, [bomb]) }),
        413,
        'expands_too_much',
      );
      for (const { id } of [broken, large]) {
        expect(await client.uploads.cancel(id)).toMatchObject({ id, status: 'cancelled' });
        await waitUntilDeleted(id);
      }
    });

    test('invalid requests are rejected, and the upload can still be completed', async () => {
      const upload = await create(content.length);
      const other = await create(1);
      const [foreign] = await sendAll(other.id, [Buffer.from('x')]);
      const part_ids = await sendAll(upload.id, pieces);
      const complete = (body: Partial<OpenAI.UploadCompleteParams>) =>
        client.uploads.complete(upload.id, { part_ids, ...body });
      await expectError(complete({ part_ids: part_ids.slice(1) }), 400, 'bytes_mismatch');
      await expectError(complete({ part_ids: [...part_ids, foreign!] }), 400, 'part_not_found');
      await expectError(complete({ part_ids: [...part_ids, part_ids[0]!] }), 400, 'duplicate_part');
      await expectError(
        complete({ part_ids: part_ids.toReversed(), md5: md5(content) }),
        400,
        'md5_mismatch',
      );
      await expectError(complete({ part_ids: [] }), 400, 'invalid_request');
      await expectError(complete({ md5: 'no' }), 400, 'invalid_request');
      expect(await complete({ md5: md5(content) })).toMatchObject({ status: 'completed' });

      await expectError(create(64 * 2 ** 20 + 1), 413, 'file_too_large');
      await expectError(create(0), 400, 'invalid_request');
      await expectError(create(1, 'rows.csv'), 400, 'invalid_file_format');
      await expectError(send(other.id, Buffer.alloc(0)), 400, 'empty_part');
      await expectError(send(other.id, Buffer.alloc(partMaxBytes + 1)), 413, 'part_too_large');
      await expectError(client.post(`/uploads/${other.id}/parts`, { body: {} }), 400, 'invalid_request');
      const otherWorkspace = createClient((await createWorkspace(sql)).apiKey);
      const data = await toFile(Buffer.from('x'), 'x');
      await expectError(otherWorkspace.uploads.parts.create(other.id, { data }), 404, 'upload_not_found');
      await expectError(
        otherWorkspace.uploads.complete(other.id, { part_ids: [foreign!] }),
        404,
        'upload_not_found',
      );
      await expectError(otherWorkspace.uploads.cancel(other.id), 404, 'upload_not_found');
      await expectError(client.uploads.cancel('upload_none'), 404, 'upload_not_found');

      expect(await client.uploads.cancel(other.id)).toEqual({ ...other, status: 'cancelled' });
      expect(await client.uploads.cancel(other.id)).toMatchObject({ status: 'cancelled' });
      await expectError(send(other.id, content), 409, 'upload_cancelled');
      await expectError(client.uploads.complete(other.id, { part_ids: [foreign!] }), 409, 'upload_cancelled');
      await waitUntilDeleted(other.id);
    });

    test('an upload expires after one hour, and its parts are deleted', async () => {
      const upload = await create(content.length);
      const part_ids = await sendAll(upload.id, pieces);
      expect(await listKeysOf(upload.id)).toHaveLength(pieces.length);
      await sql.rows(`update uploads set expires_at = now() where id = '${upload.id}'`);
      await expectError(client.uploads.complete(upload.id, { part_ids }), 409, 'upload_expired');
      await waitUntilDeleted(upload.id);
      expect(await client.get(`/uploads/${upload.id}`)).toMatchObject({ status: 'expired' });
      const rows = `select 1 from upload_parts where upload_id = '${upload.id}'`;
      await waitUntil(async () => (await sql.rows(rows)).length === 0, { what: 'its rows to be deleted' });
    });
  });

  test('a connection that breaks within a part leaves nothing', async () => {
    const { id } = await platform.client.uploads.create({
      bytes: 2 ** 23,
      filename: 'a.bin',
      mime_type: 'application/octet-stream',
      purpose: 'user_data',
    });
    const before = new Set(await platform.keys());
    const listNewKeys = async () => (await platform.keys()).filter((key) => !before.has(key));
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
    // More than one S3 part of 8 MiB, so that both storages have written some of it.
    for await (const bytes of repeatBytes('x', 9 * 2 ** 20)) {
      if (!sending.write(bytes)) await once(sending, 'drain');
    }
    await waitUntil(async () => (await listNewKeys()).length > 0, { what: 'the first bytes to be written' });
    sending.destroy();
    await waitUntil(async () => (await listNewKeys()).length === 0, {
      what: 'the written bytes to be deleted',
    });
    expect(await sql.rows(`select 1 from upload_parts where upload_id = '${id}'`)).toEqual([]);
  });

  test('a form without a part or with two is rejected', async () => {
    const { id } = await platform.client.uploads.create({
      bytes: 2,
      filename: 'a.bin',
      mime_type: 'application/octet-stream',
      purpose: 'user_data',
    });
    const data = { file: 'data', name: 'a', content: Buffer.from('a') };
    for (const parts of [[data, data], [{ ...data, file: 'file' }], [{ field: 'data', value: 'a' }], []]) {
      const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
      const response = await sendRaw(platform, {
        path: `/v1/uploads/${id}/parts`,
        headers,
        body: buildForm(parts),
      });
      expect([response.status, response.error.param]).toEqual([400, 'data']);
    }
    expect(await listKeysOf(id)).toEqual([]);
  });
});
