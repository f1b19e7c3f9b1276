import { explainNotJsonLines } from './explain-file.ts';

test.each([
  ['[', 'JSON array'],
  ['[{"custom_id":"a"},', 'JSON array'],
  ['[{"custom_id":"a"}]', 'JSON array'],
  ['  [ ', 'JSON array'],
  ['{', 'pretty-printed'],
  ['{ "custom_id": "a",', 'pretty-printed'],
  ['{"body": {', 'pretty-printed'],
])('%s is explained', (line, words) => {
  expect(explainNotJsonLines(line)).toContain(words);
});

test.each(['{"custom_id":"a"}', '{"custom_id"', 'text', ''])('%s is a line', (line) => {
  expect(explainNotJsonLines(line)).toBeNull();
});
