/** Invalid lines, files, forms, headers and URLs: each gets a clear error, and no object is left over or missing. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { signUrl } from '#storage';
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { measurePeakMemory } from '../support/peak-memory.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import {
  waitForBatch,
  toJsonl,
  buildLine,
  readRecords,
  runBatch,
  uploadInput,
  type ResultLine,
} from './support/batch-lines.ts';
import {
  sendRaw,
  boundary,
  buildForm,
  batchPurpose,
  repeatBytes,
  sendFileForm,
  uploadFileRaw,
  type RawRequest,
  type FormPart,
} from './support/raw-http.ts';

const MiB = 2 ** 20;
const maxBytes = 128 * MiB;

let platform: Platform;
let sql: SqlClient;

beforeAll(async () => {
  platform = await startPlatform({ env: { UPLOAD_MAX_BYTES: String(maxBytes) } });
  sql = await connectSql(platform.databaseUrl);
});

afterAll(async () => {
  await sql?.end();
  await platform?.stop();
});

afterEach(async () => {
  // Objects are deleted shortly after the response.
  await waitUntil(async () => (await compareStoredObjects(platform, sql)).unreferenced.length === 0, {
    what: 'no unreferenced objects',
    withinMs: 30_000,
  });
  expect((await compareStoredObjects(platform, sql)).missing).toEqual([]);
  for (const { child } of [platform.api, ...platform.workers])
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
});

const good = (custom_id: string) => JSON.stringify(buildLine(custom_id));
const findErrors = async (content: string | Buffer) => {
  const batch = await runBatch(platform.client, content);
  expect(batch).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null });
  expect(await sql.rows('select 1 from chunks where batch_id = $1', [batch.id])).toEqual([]);
  return batch.errors!.data!.map(({ code, line: number, param }) => [code, number, param]);
};
const answers = async (content: string | Buffer) => {
  const batch = await runBatch(platform.client, content);
  const found = [
    ...(await readRecords(platform.client, batch.output_file_id)),
    ...(await readRecords(platform.client, batch.error_file_id)),
  ];
  expect(batch.status).toBe('completed');
  expect(found).toHaveLength(batch.request_counts!.total);
  return found.sort((a, b) => numberOf(a) - numberOf(b));
};
const numberOf = ({ id }: ResultLine) => Number(/\d+$/.exec(id)![0]);
const statuses = (found: ResultLine[]) => found.map(({ response }) => response!.status_code);

describe('files', () => {
  test.each([
    ['no bytes', ''],
    ['only newlines', '\n\n\r\n \t\n'],
    ['only a byte order mark', '\ufeff'],
    ['a byte order mark and newlines', '\ufeff\n\r\n'],
  ])('%s is an empty file', async (_, content) => {
    expect(await findErrors(content)).toEqual([['empty_file', null, null]]);
  });

  test.each([
    ['no last newline', `${good('a')}\n${good('b')}`],
    ['CRLF', `${good('a')}\r\n${good('b')}\r\n`],
    ['a byte order mark', `\ufeff${good('a')}\n${good('b')}\n`],
    ['blank lines everywhere', `\n\r\n${good('a')}\n \n\n${good('b')}\n\n`],
    ['space around', `  ${good('a')}\t\n\t${good('b')} \r\n`],
  ])('%s is accepted', async (_, content) => {
    const found = await answers(content);
    expect(found.map(({ custom_id }) => custom_id)).toEqual(['a', 'b']);
    expect(statuses(found)).toEqual([200, 200]);
  });

  const utf16 = Buffer.from(`${good('a')}\n${good('b')}\n`, 'utf16le');
  test.each([
    ['CR alone', `${good('a')}\r${good('b')}\r`, 1],
    ['UTF-16 LE', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]), 1],
    ['UTF-16 BE', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]).swap16(), 1],
    ['UTF-16 LE without a mark', utf16, 1],
    ['UTF-16 BE without a mark', Buffer.from(utf16).swap16(), 1],
    [
      'invalid UTF-8',
      Buffer.concat([
        Buffer.from(`${good('a')}\n\n{"custom_id":"`),
        Buffer.from([0xc3, 0x28]),
        Buffer.from('"}\n'),
      ]),
      3,
    ],
    [
      'an overlong encoding',
      Buffer.concat([Buffer.from(`${good('a')}\n"`), Buffer.from([0xc0, 0xaf]), Buffer.from('"\n')]),
      2,
    ],
    ['a cut last line', `${good('a')}\r\n\r\n${good('b').slice(0, -7)}`, 3],
    ['a second mark', `${good('a')}\n\ufeff${good('b')}\n`, 2],
    ['a raw NUL', `${good('a')}\n${good('b').replace('"b"', '"\0"')}\n`, 2],
    ['nesting without an end', `${good('a')}\n${'['.repeat(1_000_000)}\n`, 2],
    ['a million levels that are no object', `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}\n`, 1],
    ['a list', `${good('a')}\n[${good('b')}]\n`, 2],
    ['text', `${good('a')}\n\n\n"b"\n`, 4],
  ])('%s is reported with its line number', async (_, content, number) => {
    expect(await findErrors(content)).toEqual([['invalid_json_line', number, null]]);
  });

  test('at most 100 errors are listed', async () => {
    const errors = await findErrors('x\n'.repeat(5_000));
    expect(errors).toEqual(Array.from({ length: 100 }, (_, at) => ['invalid_json_line', at + 1, null]));
  });

  test('a line of 120 MiB is an error, with bounded memory', async () => {
    const memory = [platform.api, ...platform.workers].map(measurePeakMemory);
    async function* content() {
      yield Buffer.from(`${good('a')}\n{"custom_id":"`);
      yield* repeatBytes('x', 120 * MiB);
      yield Buffer.from(`"}\n${good('b')}\n`);
    }
    const answer = await uploadFileRaw(platform, content());
    const file = JSON.parse(answer.text) as { id: string; bytes: number };
    expect(file.bytes).toBeGreaterThan(120 * MiB);
    const { id } = await platform.client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/embeddings',
      completion_window: '24h',
    });
    const batch = await waitForBatch(platform.client, id);
    expect(batch.errors!.data).toEqual([
      { code: 'line_too_long', line: 2, param: null, message: expect.stringContaining(String(16 * MiB)) },
    ]);
    for (const grown of memory) expect(grown()).toBeLessThan(100);
    await platform.client.files.delete(file.id);
  });

  test('ten million lines of one byte are read with bounded memory; one more line is too many', async () => {
    const memory = [platform.api, ...platform.workers].map(measurePeakMemory);
    for (const [count, code] of [
      [10_000_000, 'invalid_json_line'],
      [10_000_001, 'too_many_tasks'],
    ] as const) {
      const file = JSON.parse((await uploadFileRaw(platform, repeatBytes('1\n', count))).text) as {
        id: string;
      };
      const { id } = await platform.client.batches.create({
        input_file_id: file.id,
        endpoint: '/v1/embeddings',
        completion_window: '24h',
      });
      const batch = await waitForBatch(platform.client, id);
      expect(batch.status).toBe('failed');
      expect(batch.errors!.data![0]).toMatchObject({ code, line: code === 'too_many_tasks' ? null : 1 });
      await platform.client.files.delete(file.id);
    }
    for (const grown of memory) expect(grown()).toBeLessThan(150);
  });
});

describe('lines', () => {
  const wrong = (over: object) => `${good('a')}\n${JSON.stringify(buildLine('b', {}, over))}\n`;

  test.each([
    ['no custom_id', wrong({ custom_id: undefined }), 'missing_required_parameter', 'custom_id'],
    ['an empty one', wrong({ custom_id: '' }), 'invalid_line', 'custom_id'],
    ['one that is a number', wrong({ custom_id: 1 }), 'invalid_line', 'custom_id'],
    ['one of 10 kB', wrong({ custom_id: 'x'.repeat(10_240) }), 'invalid_line', 'custom_id'],
    ['no method', wrong({ method: undefined }), 'missing_required_parameter', 'method'],
    ['another method', wrong({ method: 'DELETE' }), 'invalid_line', 'method'],
    ['no url', wrong({ url: undefined }), 'missing_required_parameter', 'url'],
    ['another url', wrong({ url: '/v1/embeddings/' }), 'url_mismatch', 'url'],
    ['no body', wrong({ body: undefined }), 'missing_required_parameter', 'body'],
    ['a list for the body', wrong({ body: [] }), 'invalid_line', 'body'],
    ['no model', wrong({ body: { input: 'x' } }), 'missing_required_parameter', 'body.model'],
    ['another model', wrong({ body: { model: 'sandbox/embeddings:slow' } }), 'model_mismatch', 'body.model'],
    [
      'a model behind __proto__',
      `${good('a')}\n{"custom_id":"b","method":"POST","url":"/v1/embeddings","body":{"__proto__":{"model":"sandbox/embeddings"}}}`,
      'missing_required_parameter',
      'body.model',
    ],
  ])('%s fails the batch at its line', async (_, content, code, param) => {
    expect(await findErrors(content)).toEqual([[code, 2, param]]);
  });

  test.each([
    'unknown/model',
    'sandbox/toString',
    'sandbox/embeddings:constructor',
    'sandbox/\u0000',
    '\ud800/x',
  ])('the model %j is not found', async (model) => {
    const [[code, number, param]] = (await findErrors(toJsonl([buildLine('a', { model })]))) as [
      [string, number, string],
    ];
    expect(['model_not_found', 'missing_required_parameter']).toContain(code);
    expect([number, param]).toEqual([1, 'body.model']);
  });

  test('unusual custom ids are returned unchanged', async () => {
    const ids = [
      '__proto__',
      'constructor',
      '\u0000',
      '\ud800',
      '\udc00\ud800',
      ' ',
      '../../etc',
      '"\\',
      'ü'.repeat(512),
    ];
    const found = await answers(toJsonl(ids.map((id) => buildLine(id, { input: 'x' }))));
    expect(found.map(({ custom_id }) => custom_id)).toEqual(ids);
    expect(new Set(statuses(found))).toEqual(new Set([200]));
  });

  test('keys like __proto__ have no effect', async () => {
    const text = (extra: string) =>
      good('a').replace('{', `{${extra},`).replace('"body":{', `"body":{${extra},`);
    const extra =
      '"__proto__":{"custom_id":"x","model":"y","input":[]},"constructor":{"prototype":{"polluted":1}},"toString":1';
    const found = await answers(`${text(extra)}\n${good('b')}\n`);
    expect(found.map(({ custom_id }) => custom_id)).toEqual(['a', 'b']);
    // The body of the first has fields that the kind does not know.
    expect(statuses(found)).toEqual([400, 200]);
  });

  test('each line with an invalid body gets its own error', async () => {
    const raw = (id: string, input: string) => good(id).replace(/"input":"[^"]*"/, `"input":${input}`);
    const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
    const cases: [string, string, number][] = [
      ['empty', '""', 400],
      ['blank', '" \\t\\u00a0\\n"', 400],
      ['lone surrogates', '"\\ud800 \\udc00"', 200],
      ['a NUL', '"\\u0000x"', 200],
      ['1e999', '[1e999]', 400],
      ['past 2^53', '[9007199254740993]', 400],
      ['the last safe one', '[9007199254740991]', 200],
      ['fractions', '[0.5]', 400],
      ['below zero', '[-1]', 400],
      ['no list', '[]', 400],
      ['2,049 texts', JSON.stringify(Array(2_049).fill('x')), 400],
      ['an object', '{"0":"x"}', 400],
      ['a million levels', deep, 400],
      ['ten megabytes', JSON.stringify('x'.repeat(10 * MiB)), 200],
    ];
    const found = await answers(cases.map(([id, input]) => `${raw(id, input)}\n`).join(''));
    expect(found.map(({ custom_id, response }) => [custom_id, response!.status_code])).toEqual(
      cases.map(([id, , status]) => [id, status]),
    );
    for (const record of found.filter(({ response }) => response!.status_code === 400)) {
      const { type, param, message } = record.response!.body.error;
      expect([type, param]).toEqual(['invalid_request_error', expect.stringMatching(/^input/)]);
      expect(message).toContain(`Line ${numberOf(record)}:`);
    }
  });

  test('each line with an invalid option gets its own error', async () => {
    const bodies: [object, string][] = [
      [{ dimensions: 0 }, 'dimensions'],
      [{ dimensions: 1e9 }, 'dimensions'],
      [{ dimensions: 65_536, input: Array(65).fill('x') }, 'dimensions'],
      [{ encoding_format: 'hex' }, 'encoding_format'],
      [{ metadata: { a: 1 } }, 'metadata.a'],
      [{ metadata: { sandbox: 'nonsense' } }, 'metadata.sandbox'],
    ];
    const found = await answers(toJsonl(bodies.map(([body], at) => buildLine(`row-${at}`, body))));
    expect(found.map(({ response }) => [response!.status_code, response!.body.error.param])).toEqual(
      bodies.map(([, param]) => [400, param]),
    );
  });

  test('duplicate ids are reported with the exact line: adjacent, first and last of 100,000, across blank lines', async () => {
    const lines = Array.from({ length: 100_000 }, (_, at) => good(`row-${at + 1}`));
    lines[99_999] = good('row-1');
    lines[1_024] = good('row-1024');
    lines[49_999] = '\r';
    const batch = await runBatch(platform.client, `\ufeff${lines.join('\n')}`);
    expect(
      batch.errors!.data!.map(({ code, line: number, message }) => [
        code,
        number,
        /line (\d+)/.exec(message!)![1],
      ]),
    ).toEqual([
      ['duplicate_custom_id', 1_025, '1024'],
      ['duplicate_custom_id', 100_000, '1'],
    ]);
  });

  test('ids that only look alike are not duplicates', async () => {
    const ids = ['a', 'A', ' a', 'a ', '\u00e9', 'e\u0301', 'a\u0000', '\ud800', '\ud801'];
    expect(await answers(toJsonl(ids.map((id) => buildLine(id))))).toHaveLength(ids.length);
  });
});

describe('gzip', () => {
  const packed = gzipSync(toJsonl([buildLine('a'), buildLine('b')]));

  test.each([
    ['cut in the middle', packed.subarray(0, -12)],
    ['cut in its check sum', packed.subarray(0, -3)],
    ['with a wrong check sum', Buffer.concat([packed.subarray(0, -8), Buffer.alloc(8)])],
    ['that is none', Buffer.from(toJsonl([buildLine('a')]))],
    ['whose second member is cut', Buffer.concat([packed, packed.subarray(0, 20)])],
  ])('a file %s is refused', async (_, content) => {
    const { status, error } = await uploadFileRaw(platform, content, 'input.jsonl.gz');
    expect([status, error.code, error.param]).toEqual([400, 'invalid_gzip', 'file']);
  });

  test('consecutive gzip members are one file', async () => {
    const { id } = await uploadInput(
      platform.client,
      Buffer.concat([packed, gzipSync(toJsonl([buildLine('c')]))]),
      'x.jsonl.gz',
    );
    expect(await (await platform.client.files.content(id)).text()).toBe(
      toJsonl([buildLine('a'), buildLine('b'), buildLine('c')]),
    );
  });

  test('a decompression bomb is refused before it is expanded', async () => {
    const memory = measurePeakMemory(platform.api);
    const member = gzipSync(Buffer.alloc(32 * MiB));
    const { status, error } = await uploadFileRaw(
      platform,
      Buffer.concat(Array(40).fill(member)),
      'bomb.jsonl.gz',
    );
    expect([status, error.code, error.param]).toEqual([413, 'expands_too_much', 'file']);
    expect(memory()).toBeLessThan(100);
  });

  test('a file that expands beyond the size limit is too large', async () => {
    // Repeated noise: gzip compresses it 60 times, below the ratio of a decompression bomb.
    const noise = createHash('shake256', { outputLength: 2_048 }).update('noise').digest();
    const content = gzipSync(Buffer.alloc(maxBytes + 1, noise), { level: 1 });
    const { status, error } = await uploadFileRaw(platform, content, 'input.jsonl.gz');
    expect([status, error.code, error.param]).toEqual([413, 'file_too_large', 'file']);
  });
});

describe('forms', () => {
  const file = (
    name = 'input.jsonl',
    content: Uint8Array = Buffer.from(toJsonl([buildLine('a')])),
    field = 'file',
  ): FormPart => ({
    file: field,
    name,
    content,
  });
  type Refusal = [status: number, code?: string | null, param?: string | null];
  const sent = async (...parts: FormPart[]): Promise<Refusal> => {
    const answer = await sendFileForm(platform, parts);
    return [answer.status, answer.error?.code, answer.error?.param];
  };

  test('the purpose may come after the file', async () => {
    expect((await sent(file(), batchPurpose))[0]).toBe(200);
    expect(await sent(file('a.txt'), batchPurpose)).toEqual([400, 'invalid_file_format', 'file']);
    expect(await sent(file(), { field: 'purpose', value: 'nothing' })).toEqual([
      400,
      'invalid_request',
      'purpose',
    ]);
    const soon: FormPart = { field: 'expires_after[seconds]', value: '5' };
    expect(await sent(batchPurpose, file(), soon)).toEqual([400, 'invalid_request', 'expires_after.anchor']);
  });

  test('exactly one file, in the field `file`', async () => {
    expect(await sent(batchPurpose)).toEqual([400, 'invalid_request', 'file']);
    expect(await sent()).toEqual([400, 'invalid_request', 'file']);
    expect(await sent(batchPurpose, { field: 'file', value: 'text' })).toEqual([
      400,
      'invalid_request',
      'file',
    ]);
    expect(await sent(batchPurpose, file('a.jsonl', Buffer.from('x'), 'upload'))).toEqual([
      400,
      'invalid_request',
      'file',
    ]);
    expect(await sent(batchPurpose, file(), file())).toEqual([400, 'invalid_request', 'file']);
    expect(await sent(file())).toEqual([400, 'invalid_request', 'purpose']);
  });

  test('a second file is refused without being read', async () => {
    const memory = measurePeakMemory(platform.api);
    const large: FormPart = { file: 'file', name: 'b.jsonl', content: repeatBytes('x', 100 * MiB) };
    expect(await sent(batchPurpose, file(), large)).toEqual([400, 'invalid_request', 'file']);
    expect(memory()).toBeLessThan(60);
  });

  test('file names', async () => {
    expect(await sent(batchPurpose, file(''))).toEqual([400, 'invalid_file_format', 'file']);
    expect(await sent(batchPurpose, file(`${'x'.repeat(250)}.jsonl`))).toEqual([
      400,
      'invalid_request',
      'file',
    ]);
    for (const name of ['../../etc/input.jsonl', '..\\input.jsonl', '/input.jsonl']) {
      const { text } = await sendFileForm(platform, [batchPurpose, file(name)]);
      expect((JSON.parse(text) as { filename: string }).filename).toBe('input.jsonl');
    }
  });

  test.each(['__proto__', 'constructor', '__proto__[purpose]', 'toString'])(
    'a field named %s is refused',
    async (name) => {
      const [status, code] = await sent({ field: name, value: 'batch' }, file());
      expect([status, ['invalid_multipart', 'invalid_request'].includes(code!)]).toEqual([400, true]);
    },
  );

  test('too many fields', async () => {
    const many = Array.from({ length: 50 }, (_, at): FormPart => ({ field: `f${at}`, value: 'x' }));
    expect(await sent(...many, batchPurpose, file())).toEqual([413, 'too_many_fields', null]);
  });

  const raw = (headers: RawRequest['headers'], body: RawRequest['body']) =>
    sendRaw(platform, { path: '/v1/files', headers: headers!, body });
  const multipart = `multipart/form-data; boundary=${boundary}`;

  test.each([
    ['no boundary', 'multipart/form-data', buildForm([batchPurpose, file()])],
    ['another boundary', 'multipart/form-data; boundary=other', buildForm([batchPurpose, file()])],
    ['no form at all', multipart, Buffer.from('garbage')],
    [
      'a form that breaks off',
      multipart,
      Buffer.from(
        `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}`,
      ),
    ],
    ['an empty body', multipart, Buffer.alloc(0)],
  ])('%s', async (_, type, body) => {
    const { status, error } = await raw({ 'content-type': type }, body);
    expect([status, error.type]).toEqual([400, 'invalid_request_error']);
    expect(['invalid_multipart', 'invalid_request']).toContain(error.code);
  });

  test('a body that is not a form', async () => {
    expect(await raw({ 'content-type': 'application/json' }, '{}')).toMatchObject({
      status: 400,
      error: { param: 'file' },
    });
    const other = await raw({ 'content-type': 'application/octet-stream' }, 'x');
    expect([other.status, other.error.code]).toEqual([415, 'unsupported_media_type']);
  });

  test('a file over the limit, by its Content-Length or while it is read', async () => {
    const found = await uploadFileRaw(platform, repeatBytes(`${'x'.repeat(1_023)}\n`, maxBytes / 1_024 + 1));
    expect([found.status, found.error.code]).toEqual([413, 'file_too_large']);
    const huge = { 'content-type': multipart, 'content-length': String(2 ** 50) };
    const declared = await raw(huge, Buffer.from('x'));
    expect([declared.status, declared.error.code]).toEqual([413, 'file_too_large']);
  });

  test('an aborted upload leaves no object and no row', async () => {
    const before = await sql.rows('select id from files');
    for (const length of [10 * MiB, 2 ** 20 + 7]) {
      await abortUpload(length);
    }
    await waitUntil(async () => (await compareStoredObjects(platform, sql)).unreferenced.length === 0, {
      what: 'no unreferenced objects',
    });
    expect(await sql.rows('select id from files')).toHaveLength(before.length);
  });

  /** Declares more bytes than it sends, and disconnects in the middle of the file. */
  async function abortUpload(length: number): Promise<void> {
    const { hostname, port } = new URL(platform.url);
    const socket = connect(Number(port), hostname);
    const head = [
      'POST /v1/files HTTP/1.1',
      `host: ${hostname}`,
      `authorization: Bearer ${platform.apiKey}`,
      `content-type: ${multipart}`,
      `content-length: ${length + 1_000_000}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    let written = 0;
    for await (const piece of buildForm([
      batchPurpose,
      { file: 'file', name: 'a.jsonl', content: repeatBytes('{}\n', length / 3) },
    ])) {
      written += piece.length;
      if (written > length) break;
      if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
    }
    await waitUntil(async () => (await compareStoredObjects(platform, sql)).unreferenced.length > 0, {
      what: 'the upload to start',
    });
    socket.destroy();
  }
});

test('an aborted download closes its file in the API', async () => {
  const lines = Buffer.alloc(64 * MiB, `${'x'.repeat(1_023)}\n`);
  const file = JSON.parse((await uploadFileRaw(platform, lines)).text) as { id: string };
  const descriptors = `/proc/${platform.api.child.pid}/fd`;
  if (!existsSync(descriptors))
    console.warn('NOT CHECKED: this system does not list the open files of a process');
  const open = async () => (existsSync(descriptors) ? (await readdir(descriptors)).length : 0);
  const before = await open();
  for (let count = 0; count < 5; count++) {
    const leaving = new AbortController();
    const answer = await fetch(`${platform.url}/v1/files/${file.id}/content`, {
      headers: { authorization: `Bearer ${platform.apiKey}` },
      signal: leaving.signal,
    });
    await answer.body!.getReader().read();
    leaving.abort();
  }
  await waitUntil(async () => (await open()) <= before + 2, { what: 'the descriptors to be closed' });
  await platform.client.files.delete(file.id);
});

describe('requests', () => {
  const json = { 'content-type': 'application/json' };
  const post = (body: RawRequest['body'], headers: RawRequest['headers'] = json) =>
    sendRaw(platform, { path: '/v1/batches', headers, body });

  test.each([
    ['bad JSON', '{"input_file_id":', 400, 'invalid_json'],
    ['no bytes', '', 400, 'invalid_request'],
    ['a list', '[]', 400, 'invalid_request'],
    ['null', 'null', 400, 'invalid_request'],
    ['text', '"x"', 400, 'invalid_request'],
    ['__proto__', '{"__proto__":{"input_file_id":"x"}}', 400, 'invalid_request'],
    [
      'a million levels',
      `{"metadata":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`,
      400,
      'invalid_request',
    ],
    ['1e999', '{"input_file_id":1e999}', 400, 'invalid_request'],
    ['33 MiB', `{"input_file_id":"${'x'.repeat(33 * MiB)}"}`, 413, 'request_too_large'],
  ])('a body of %s', async (_, body, status, code) => {
    const answer = await post(body);
    expect([answer.status, answer.error.code]).toEqual([status, code]);
    expect(answer.headers['x-request-id']).toMatch(/^req_/);
    expect(answer.error.message).not.toContain('xxx');
  });

  test('unsupported content types', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/json; charset=utf-16', 'nonsense']) {
      const answer = await post('{}', { 'content-type': type });
      expect([400, 415]).toContain(answer.status);
      expect(answer.error.code).toBeTruthy();
    }
  });

  test('unknown routes and methods', async () => {
    for (const [method, path] of [
      ['PATCH', '/v1/files'],
      ['PUT', '/v1/batches/x'],
      ['OPTIONS', '/v1/files'],
    ]) {
      const answer = await sendRaw(platform, { method: method!, path: path! });
      expect([answer.status, answer.error.code]).toEqual([405, 'method_not_allowed']);
      expect(answer.headers.allow).toMatch(/^GET, (HEAD, )?POST$/);
    }
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/v1/none'],
    ]) {
      const answer = await sendRaw(platform, { method: method!, path: path! });
      expect([answer.status, answer.error.code, answer.error.type]).toEqual([
        404,
        'unknown_url',
        'not_found_error',
      ]);
    }
  });

  const odd = [
    '..',
    '%2e%2e',
    '%2e%2e%2f%2e%2e%2fsecret',
    '..%2f..%2fetc%2fpasswd',
    '%00',
    'file_%00',
    'x%2500',
    "'%20or%201=1",
    '*',
    `${'a'.repeat(90)}`,
    'FILE_0',
  ];
  test.each(odd)('the id %s is not found', async (id) => {
    for (const path of [`/v1/files/${id}`, `/v1/files/${id}/content`, `/v1/batches/${id}`]) {
      const answer = await sendRaw(platform, { path });
      expect([answer.status, answer.error.type]).toEqual([404, 'not_found_error']);
    }
    expect((await sendRaw(platform, { method: 'DELETE', path: `/v1/files/${id}` })).status).toBe(404);
    expect((await sendRaw(platform, { method: 'POST', path: `/v1/batches/${id}/cancel` })).status).toBe(404);
    const object = await sendRaw(platform, { path: `/v1/objects/${id}` });
    expect([403, 404]).toContain(object.status);
  });

  test('invalid URLs', async () => {
    for (const path of ['%zz', '%', '%ed%a0%80', 'a'.repeat(5_000)].map((id) => `/v1/files/${id}`)) {
      const answer = await sendRaw(platform, { path });
      expect([400, 414]).toContain(answer.status);
      expect([answer.error.code, answer.error.type]).toEqual(['invalid_url', 'invalid_request_error']);
      expect(answer.headers['x-request-id']).toMatch(/^req_/);
    }
    for (const query of ['after=%00', 'after=..%2f', 'after=a&after=b', 'limit=1e3', 'order=%00']) {
      const answer = await sendRaw(platform, { path: `/v1/batches?${query}` });
      expect([answer.status, answer.error.param]).toEqual([400, /^\w+/.exec(query)![0]]);
    }
  });

  test('invalid ranges are ignored, ranges past the end are refused', async () => {
    const content = toJsonl([buildLine('a')]);
    const { id } = await uploadInput(platform.client, content);
    const get = (range: string) => sendRaw(platform, { path: `/v1/files/${id}/content`, headers: { range } });
    for (const range of [
      'bytes=',
      'bytes=b-a',
      'bytes=9-1',
      'lines=0-1',
      'bytes=0-1,3-4',
      'garbage',
      `bytes=${'9'.repeat(4_000)}`,
    ]) {
      const answer = await get(range);
      expect([answer.status, answer.text]).toEqual([200, content]);
    }
    for (const range of [`bytes=${content.length}-`, 'bytes=99999999999999999999-', 'bytes=-0']) {
      const answer = await get(range);
      expect([answer.status, answer.error.code]).toEqual([416, 'range_not_satisfiable']);
      expect(answer.headers['content-range']).toBe(`bytes */${content.length}`);
    }
    const conditional = { range: 'bytes=0-1', 'if-range': '"etag"' };
    expect((await sendRaw(platform, { path: `/v1/files/${id}/content`, headers: conditional })).status).toBe(
      200,
    );
    const { id: empty } = await uploadInput(platform.client, '');
    expect((await sendRaw(platform, { path: `/v1/files/${empty}/content` })).status).toBe(200);
    const ofNothing = await sendRaw(platform, {
      path: `/v1/files/${empty}/content`,
      headers: { range: 'bytes=0-' },
    });
    expect(ofNothing.status).toBe(416);
  });

  test('invalid idempotency keys and content lengths', async () => {
    const { id: input_file_id } = await uploadInput(platform.client, toJsonl([buildLine('a')]));
    const body = JSON.stringify({ input_file_id, endpoint: '/v1/embeddings', completion_window: '24h' });
    expect((await post(body, { ...json, 'idempotency-key': '' })).error.param).toBe('Idempotency-Key');
    expect((await post(body, { ...json, 'idempotency-key': 'ü\u00ff%00' })).status).toBe(200);
    for (const length of ['5', '-1', '1e3', '99999999999999999999999', 'x']) {
      expect(await sendRawHeader(`content-length: ${length}`)).toBe(400);
    }
    expect(await sendRawHeader('content-length: 2\r\ntransfer-encoding: chunked')).toBe(400);
    expect(await sendRawHeader(`x-long: ${'x'.repeat(100_000)}`)).toBe(431);
  });

  /** Sends headers that Node's client refuses to send. */
  async function sendRawHeader(header: string): Promise<number> {
    const { hostname, port } = new URL(platform.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.end(
      `POST /v1/batches HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${platform.apiKey}\r\n` +
        `content-type: application/json\r\n${header}\r\n\r\n{}`,
    );
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  }
});

describe('signed URLs', () => {
  let key: string;
  let content: string;
  let secret: string;
  beforeAll(async () => {
    content = toJsonl([buildLine('a')]);
    const { id } = await uploadInput(platform.client, content);
    [{ key }] = (await sql.rows<{ key: string }>(
      'select object_key as key from file_segments where file_id = $1',
      [id],
    )) as [{ key: string }];
    secret = (await readFile(join(platform.home, 'secret'), 'utf8')).trim();
  });
  const sign = (over: object = {}, options: object = {}) =>
    new URL(
      signUrl({ baseUrl: platform.url, secret, ...options }, key, { method: 'GET', expiresInS: 60, ...over }),
    );
  const get = (url: Pick<URL, 'pathname' | 'search'>, method = 'GET') =>
    sendRaw({ ...platform, apiKey: '' }, { method, path: url.pathname + url.search });

  test('give access to one object, whole or a range, without a key', async () => {
    const answer = await get(sign({ filename: "a'b.jsonl" }));
    expect([answer.status, answer.text]).toEqual([200, content]);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-disposition': `attachment; filename="a'b.jsonl"; filename*=UTF-8''a%27b.jsonl`,
    });
    expect((await get(sign(), 'HEAD')).status).toBe(200);
    const part = await fetch(sign(), { headers: { range: 'bytes=0-3' } });
    expect([part.status, await part.text()]).toEqual([206, content.slice(0, 4)]);
  });

  test('any change makes them invalid', async () => {
    const { id } = await uploadInput(platform.client, 'secret\n');
    const [other] = await sql.rows<{ key: string }>(
      'select object_key as key from file_segments where file_id = $1',
      [id],
    );
    // Paths as they are sent; `URL` would normalize them.
    const paths: ((path: string) => string)[] = [
      () => `/v1/objects/${other!.key}`,
      (path) => path.replace('/files/', '/files/../files/'),
      (path) => path.replace('/files/', '/files%2f..%2ffiles%2f'),
      (path) => path.replace('/files/', '/%2e%2e/'),
      (path) => `${path}%00`,
      (path) => `${path}/`,
    ];
    for (const change of paths) {
      const { pathname, search } = sign();
      await expectRefused({ pathname: change(pathname), search });
    }
    const parameters: ((query: URLSearchParams) => void)[] = [
      (query) => query.set('expires', '9999999999'),
      (query) => query.set('method', 'PUT'),
      (query) => query.set('filename', 'x.html'),
      (query) => query.set('content_type', 'text/html'),
      (query) => query.set('signature', 'x'),
      (query) => query.delete('signature'),
      (query) => query.append('signature', query.get('signature')!),
      (query) => query.append('expires', query.get('expires')!),
    ];
    for (const change of parameters) {
      const url = sign();
      change(url.searchParams);
      await expectRefused(url);
    }
    await expectRefused({ pathname: sign().pathname, search: '' });
  });

  async function expectRefused(url: Pick<URL, 'pathname' | 'search'>): Promise<void> {
    const { status, error, text } = await get(url);
    expect([status, error?.code]).toEqual([403, 'invalid_signature']);
    expect(text).not.toContain('secret');
  }

  test('are invalid after their expiry, and under another secret', async () => {
    const late = await get(sign({}, { now: () => Date.now() - 61_000 }));
    expect([late.status, late.error.code]).toEqual([403, 'signed_url_expired']);
    const forged = await get(sign({}, { secret: 'x'.repeat(43) }));
    expect([forged.status, forged.error.code]).toEqual([403, 'invalid_signature']);
    expect((await get(sign({ method: 'PUT' }))).status).toBe(403);
    expect((await get(sign(), 'PUT')).status).toBe(405);
  });
});

test('after all tests the platform works, is ready, and has logged no secret and no error', async () => {
  expect(statuses(await answers(toJsonl([buildLine('a')])))).toEqual([200]);
  const ready = await sendRaw(platform, { path: '/health/ready' });
  expect(ready.status).toBe(200);
  expect(platform.output()).not.toContain(platform.apiKey);
  // Invalid input must not be logged as an error.
  const errorLines = platform
    .output()
    .split('\n')
    .filter((each) => /"level":"(error|fatal)"/.test(each));
  expect(errorLines).toEqual([]);
  const open = await sql.rows(`select id, status from batches where status not in ('completed', 'failed')`);
  expect(open.filter(({ status }) => status !== 'validating' && status !== 'in_progress')).toEqual([]);
});
