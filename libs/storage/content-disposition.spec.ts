import { buildContentDisposition } from './content-disposition.ts';

test.each([
  ['a.jsonl', `attachment; filename="a.jsonl"; filename*=UTF-8''a.jsonl`],
  [`a'b (1)*.jsonl`, `attachment; filename="a'b (1)*.jsonl"; filename*=UTF-8''a%27b%20%281%29%2A.jsonl`],
  [
    '"50%" \\ für.jsonl',
    `attachment; filename="_50__ _ f_r.jsonl"; filename*=UTF-8''%2250%25%22%20%5C%20f%C3%BCr.jsonl`,
  ],
  ['a\r\nb', `attachment; filename="a__b"; filename*=UTF-8''a%0D%0Ab`],
  ['a\ud800', `attachment; filename="a_"; filename*=UTF-8''a%EF%BF%BD`],
])('the header of %p', (filename, header) => {
  expect(buildContentDisposition(filename)).toBe(header);
});
