import { parseJson } from './parse-json.ts';

test.each([
  ['{"a":9223372036854775807}', '{"a":9223372036854775807}'],
  ['[-12345678901234567890, 1]', '[-12345678901234567890,1]'],
  ['{"a":1e400}', '{"a":1e400}'],
  ['{"a":9007199254740991}', '{"a":9007199254740991}'],
  ['[0.12345678901234567, 1e5]', '[0.12345678901234566,100000]'],
  ['"9223372036854775807"', '"9223372036854775807"'],
  ['[NaN, -Infinity, "NaN \\" Infinity"]', '[null,null,"NaN \\" Infinity"]'],
])('%s is written as %s', (text, expected) => {
  expect(JSON.stringify(parseJson(text))).toBe(expected);
});

test('what is not JSON is an error', () => {
  for (const text of ['', '<html>', '{"a":Infinit}']) expect(() => parseJson(text)).toThrow(SyntaxError);
});
