import { JsonLinesBuffer } from './json-lines-buffer.ts';

test('characters that readers take for the end of a line are escaped', () => {
  const buffer = new JsonLinesBuffer();
  const value = { text: 'a\u2028b\u2029c\u0085d\n' };
  buffer.add(`${JSON.stringify(value)}\n`);
  const text = buffer.take().toString();
  expect(text).toBe('{"text":"a\\u2028b\\u2029c\\u0085d\\n"}\n');
  expect(JSON.parse(text)).toEqual(value);
});
