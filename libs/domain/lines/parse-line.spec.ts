import { getByteOrderMarkLength, isUtf16, parseCheckedLine, parseLine } from './parse-line.ts';

const line = (over: object = {}) => ({
  custom_id: 'a',
  method: 'POST',
  url: '/v1/embeddings',
  body: { model: 'sandbox/embeddings', input: 'x' },
  ...over,
});
const parse = (value: unknown) =>
  parseLine(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), 1_000);
const problem = (value: unknown) => parse(value).problem;

test('parses a valid line', () => {
  expect(parse(line()).line).toEqual(line());
});

test.each([
  ['not JSON', '{"custom_id":', 'invalid_json_line', null],
  ['cut in the middle', JSON.stringify(line()).slice(0, -1), 'invalid_json_line', null],
  ['an array', [], 'invalid_json_line', null],
  ['a number', '1', 'invalid_json_line', null],
  ['null', 'null', 'invalid_json_line', null],
  ['no custom_id', line({ custom_id: undefined }), 'missing_required_parameter', 'custom_id'],
  ['an empty custom_id', line({ custom_id: '' }), 'invalid_line', 'custom_id'],
  ['a custom_id that is a number', line({ custom_id: 7 }), 'invalid_line', 'custom_id'],
  ['a custom_id of 10 kB', line({ custom_id: 'x'.repeat(10_240) }), 'invalid_line', 'custom_id'],
  ['no method', line({ method: undefined }), 'missing_required_parameter', 'method'],
  ['GET', line({ method: 'GET' }), 'invalid_line', 'method'],
  ['no url', line({ url: undefined }), 'missing_required_parameter', 'url'],
  ['no body', line({ body: undefined }), 'missing_required_parameter', 'body'],
  ['an array for the body', line({ body: [] }), 'invalid_line', 'body'],
  ['null for the body', line({ body: null }), 'invalid_line', 'body'],
  ['no model', line({ body: {} }), 'missing_required_parameter', 'body.model'],
  ['an empty model', line({ body: { model: '' } }), 'missing_required_parameter', 'body.model'],
  [
    'a model behind __proto__',
    '{"custom_id":"a","method":"POST","url":"/","body":{"__proto__":{"model":"m"}}}',
    'missing_required_parameter',
    'body.model',
  ],
])('%s is refused', (_, value, code, param) => {
  expect(problem(value)).toMatchObject({ code, param });
});

test('an error message never repeats the content of the line', () => {
  const secret = 'sk-1234567890';
  for (const value of [`${secret}`, line({ method: secret }), line({ custom_id: { secret } })]) {
    expect(JSON.stringify(problem(value))).not.toContain(secret);
  }
});

test('rejects a line that is too long or not UTF-8', () => {
  expect(parseLine(null, 1_000).problem).toMatchObject({ code: 'line_too_long' });
  expect(parseLine(null, 1_000).problem!.message).toContain('1000 bytes');
  expect(parseLine(Buffer.from([0x7b, 0xff, 0x7d]), 9).problem!.message).toContain('UTF-8');
});

test('the message mentions a CR without LF, which some editors write as line end', () => {
  expect(problem(`${JSON.stringify(line())}\r${JSON.stringify(line())}`)!.message).toContain('CR');
});

test('keeps all JSON values unchanged', () => {
  for (const custom_id of ['__proto__', '\u0000', '\ud800', 'é'.repeat(512)]) {
    expect(parse(line({ custom_id })).line!.custom_id).toBe(custom_id);
  }
  const parsed = parse(
    '{"__proto__":{"custom_id":"b"},"custom_id":"a","method":"POST","url":"/","body":{"model":"m"}}',
  );
  expect(parsed.line!.custom_id).toBe('a');
  expect(Object.getPrototypeOf(parsed.line!)).toBe(Object.prototype);
});

test('JSON nested a million levels deep does not crash', () => {
  const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
  const text = JSON.stringify(line({ body: { model: 'm', input: 0 } })).replace(
    '"input":0',
    `"input":${deep}`,
  );
  expect(parse(text).line!.custom_id).toBe('a');
  expect(problem(deep)!.code).toBe('invalid_json_line');
});

test('parseCheckedLine reads a valid line the same way, and returns null for others', () => {
  for (const over of [
    {},
    { custom_id: '__proto__' },
    { body: { model: 'm', input: ['é', '\ud800'] }, more: 1 },
  ]) {
    const text = JSON.stringify(line(over));
    expect(parseCheckedLine(Buffer.from(text))).toMatchObject(parse(text).line!);
  }
  for (const text of [
    '',
    '{',
    'null',
    '1',
    '[]',
    '{}',
    '{"custom_id":1,"body":{}}',
    '{"custom_id":"a","body":null}',
  ])
    expect(parseCheckedLine(Buffer.from(text))).toBeNull();
  expect(parseCheckedLine(null)).toBeNull();
});

test('detects the encoding from the first bytes', () => {
  expect(getByteOrderMarkLength(Buffer.from('\ufeff{}'))).toBe(3);
  expect(getByteOrderMarkLength(Buffer.from('{}'))).toBe(0);
  expect(getByteOrderMarkLength(Buffer.from([0xef]))).toBe(0);
  for (const encoding of ['\ufeff{}', '{}']) {
    const little = Buffer.from(encoding, 'utf16le');
    expect(isUtf16(little)).toBe(true);
    expect(isUtf16(Buffer.from(little).swap16())).toBe(true);
  }
  expect(isUtf16(Buffer.from('{}'))).toBe(false);
  expect(isUtf16(Buffer.from('{'))).toBe(false);
  expect(isUtf16(Buffer.alloc(0))).toBe(false);
});
