import {
  hasInexactNumber,
  isRawNumber,
  parseExactJson,
  parseStoredJson,
  restoreRawNumbers,
  toPlainNumbers,
} from './exact-json.ts';

test.each([
  '{"maximum":9223372036854775807}',
  '{"minimum":-9223372036854775808,"n":18446744073709551615}',
  '{"seed":9007199254740993}',
  '[1e22,1.5E300,1e-7]',
  '{"a":{"b":[0,{"c":123456789012345678901234567890}]}}',
  '{"text":"a number like 1e400 or 9223372036854775807 in text"}',
  '{"a":1,"b":2.5,"c":"1e5","d":[true,null]}',
])('%s is written as it was read', (text) => {
  expect(JSON.stringify(parseExactJson(text))).toBe(text);
  expect(JSON.stringify(parseStoredJson(text))).toBe(text);
});

test.each([
  ['{"a":{"b":[1,1e400]}}', 'a.b.1', 1],
  ['{\n "x": 1,\n "y": -1e999\n}', 'y', 3],
  [`{"n":${'9'.repeat(400)}}`, 'n', 1],
])('%s: a number too large for a double is refused with its field and line', (text, param, line) => {
  expect(() => parseExactJson(text)).toThrow(
    expect.objectContaining({
      code: 'invalid_request',
      param,
      message: expect.stringContaining(`line ${line}.`),
    }),
  );
});

test.each([
  ['{"a":1,}', 'line 1, column 8'],
  ['{\n "a": 1\n "b": 2\n}', 'line 3, column 2'],
  ['{"a":', 'line 1, column 6'],
])('%s: the message has the position of the error and none of the text', (text, position) => {
  expect(() => parseExactJson(text)).toThrow(`The body is not valid JSON: ${position}.`);
});

test('a field named __proto__ is refused with its path', () => {
  expect(() => parseExactJson('{"a":[{"__proto__":{"x":1}}]}')).toThrow(
    expect.objectContaining({ code: 'invalid_request', param: 'a.0.__proto__' }),
  );
  expect(parseExactJson('{"a":"__proto__"}')).toEqual({ a: '__proto__' });
});

test('what a client sends is never taken for a raw number', () => {
  expect(isRawNumber(parseExactJson('{"rawJSON":"1"}'))).toBe(false);
  expect(isRawNumber((parseExactJson('[9007199254740993]') as unknown[])[0])).toBe(true);
});

test('a schema sees plain numbers, and the raw ones come back where the value is the same', () => {
  const body = parseExactJson('{"seed":9007199254740993,"tools":[{"max":1e30}],"n":2}') as object;
  const plain = toPlainNumbers(body) as { seed: number; tools: object[]; n: number };
  expect(plain).toEqual({ seed: 9007199254740992, tools: [{ max: 1e30 }], n: 2 });
  const parsed = { seed: plain.seed, tools: plain.tools, n: 3 };
  expect(JSON.stringify(restoreRawNumbers(parsed, body))).toBe(
    '{"seed":9007199254740993,"tools":[{"max":1e30}],"n":3}',
  );
  const same = { a: [1, { b: 'x' }] };
  expect(toPlainNumbers(same)).toBe(same);
});

test('a body nested too deeply is refused', () => {
  const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
  expect(() => parseExactJson(deep)).toThrow('nested deeper than 500 levels');
  expect(toPlainNumbers(JSON.parse(deep))).toBeDefined();
});

test('hasInexactNumber looks at values only', () => {
  expect(hasInexactNumber({ a: [1, 2.5, 'x', null], b: 2 ** 53 - 1 })).toBe(false);
  expect(hasInexactNumber({ a: [{ b: -(2 ** 53) }] })).toBe(true);
});
