import { LineRecords } from './line-records.ts';

const answer = { json: '{"object":"list"}', usage: { inputTokens: 3, outputTokens: 0 } };
const lines = (bytes: Buffer) =>
  bytes
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('each record is as the wire has it', () => {
  const records = new LineRecords('batch_0123');
  records.succeeded(1, 'a', answer);
  records.failed(2, 'b', 400, { message: 'm', type: 'invalid_request_error', param: null, code: 'c' });
  records.notRun(4, 'c', 'batch_cancelled', 'why');
  const { output, errors, sums } = records.close();
  expect(lines(output)).toEqual([
    {
      id: 'batch_req_0123_1',
      custom_id: 'a',
      response: { status_code: 200, request_id: 'req_0123_1', body: { object: 'list' } },
      error: null,
    },
  ]);
  expect(lines(errors)).toEqual([
    {
      id: 'batch_req_0123_2',
      custom_id: 'b',
      response: {
        status_code: 400,
        request_id: 'req_0123_2',
        body: { error: { message: 'm', type: 'invalid_request_error', param: null, code: 'c' } },
      },
      error: null,
    },
    {
      id: 'batch_req_0123_4',
      custom_id: 'c',
      response: null,
      error: { code: 'batch_cancelled', message: 'why' },
    },
  ]);
  expect(sums).toMatchObject({ completed: 1, failed: 1, canceled: 1, expired: 0, inputTokens: 3 });
});

test('a line has one record: the first; and none once they are closed', () => {
  const records = new LineRecords('batch_0123');
  records.notRun(1, 'a', 'batch_cancelled', 'why');
  records.succeeded(1, 'a', answer);
  const { output, errors, sums } = records.close();
  records.succeeded(2, 'b', answer);
  expect([lines(output).length, lines(errors).length]).toEqual([0, 1]);
  expect(sums).toMatchObject({ completed: 0, canceled: 1 });
});

test.each(['\ud800', '\udc00x', '"\\\n', '\u0000', '__proto__', '\u2028'])(
  'custom_id %j comes back the same',
  (id) => {
    const records = new LineRecords('batch_0123');
    records.succeeded(1, id, answer);
    const { output } = records.close();
    expect(output.filter((byte) => byte === 10)).toHaveLength(1);
    expect(lines(output)[0]!['custom_id']).toBe(id);
  },
);

test('text of any length is put together whole', () => {
  const records = new LineRecords('batch_0123');
  const json = JSON.stringify({ text: 'x'.repeat(50_000) });
  for (let line = 1; line <= 20; line++) records.succeeded(line, `é${line}`, { ...answer, json });
  const { output } = records.close();
  expect(lines(output).map((line) => line['custom_id'])).toEqual(
    Array.from({ length: 20 }, (_, at) => `é${at + 1}`),
  );
});
