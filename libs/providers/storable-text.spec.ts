import { StorableBytes, toStorableText } from './storable-text.ts';

/** The text of a body that arrives in chunks of this many bytes. */
function rewrite(text: string, size: number): string {
  const bytes = Buffer.from(text);
  const body = new StorableBytes();
  const out: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(body.add(bytes.subarray(at, at + size)));
  return Buffer.concat([...out, body.end()]).toString();
}

test.each([
  ['{"a":"b"}', '{"a":"b"}'],
  ['"a\\u0000b"', '"a\\ufffdb"'],
  ['"\\ud800"', '"\\ufffd"'],
  ['"\\udc00 \\uD83D\\uDE00"', '"\\ufffd \\uD83D\\uDE00"'],
  ['"\\ud83d\\ud83d\\ude00"', '"\\ufffd\\ud83d\\ude00"'],
  ['"\\\\u0000"', '"\\\\u0000"'],
  ['"\\\\\\u0000"', '"\\\\\\ufffd"'],
  ['"\\n\\u0041\\"\\\\"', '"\\n\\u0041\\"\\\\"'],
  ['a\0b', 'a\ufffdb'],
  ['"é😀"', '"é😀"'],
  ['"\\ud83d', '"\\ufffd'],
  ['"\\u00', '"\\u00'],
])('%j becomes %j, however it is cut into chunks', (text, expected) => {
  for (let size = 1; size <= text.length + 1; size++) expect(rewrite(text, size)).toBe(expected);
});

test('text is cut between code points', () => {
  expect(toStorableText('a😀b', 2)).toBe('a');
  expect(toStorableText('a😀b', 3)).toBe('a😀');
  expect(toStorableText('a\0\ud800')).toBe('a\ufffd\ufffd');
});
