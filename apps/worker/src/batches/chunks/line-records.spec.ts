import { Prices } from '#domain';
import { LineRecords, type FinishedLine } from './line-records.ts';

const answer = { json: '{"object":"list"}', usage: { inputTokens: 3, outputTokens: 0 } };
const lines = (bytes: Buffer) =>
  bytes
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('writes records in the format of OpenAI', () => {
  const records = new LineRecords('batch_0123');
  records.addSuccess(1, 'a', answer);
  records.addFailure(2, 'b', 400, { message: 'm', type: 'invalid_request_error', param: null, code: 'c' });
  records.addNotRun(4, 'c', 'batch_cancelled', 'why');
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
  expect(sums.errorCodes).toEqual({ c: 1 });
});

test('a restored line counts like a line that finished here, with its usage and its error code', () => {
  const finished: FinishedLine[] = [];
  const usage = { inputTokens: 5, outputTokens: 2, images: 1, cost: 0.000_000_25 };
  const first = new LineRecords('batch_0123', (line) => finished.push(line));
  first.addSuccess(1, 'a', { ...answer, usage });
  first.addSuccess(2, 'b', answer);
  first.addFailure(3, 'c', 503, { message: 'm', type: 'server_error', param: null, code: 'model_loading' });
  first.addFailure(4, 'd', 500, {
    message: 'm',
    type: 'server_error',
    param: null,
    code: 'some text of the provider',
  });
  const second = new LineRecords('batch_0123');
  for (const line of finished) second.restore(line);
  const [original, restored] = [first.close(), second.close()];
  expect(restored.sums).toEqual(original.sums);
  expect(original.sums).toMatchObject({
    inputTokens: 8,
    outputTokens: 2,
    errorCodes: { model_loading: 1, other: 1 },
  });
  const prices = new Prices({ 'x/y': { call: 1 } });
  expect(restored.meter.toMetering('x/y', prices)).toEqual(original.meter.toMetering('x/y', prices));
  expect(original.meter.toMetering('x/y', prices)).toEqual({
    ...{ images: 1, mediaMs: 0, reportedCost: 250, reportedRequests: 1, estimatedCost: 2e9 },
  });
});

test('keeps the first record of a line, and ignores records after close', () => {
  const records = new LineRecords('batch_0123');
  records.addNotRun(1, 'a', 'batch_cancelled', 'why');
  records.addSuccess(1, 'a', answer);
  const { output, errors, sums } = records.close();
  records.addSuccess(2, 'b', answer);
  expect([lines(output).length, lines(errors).length]).toEqual([0, 1]);
  expect(sums).toMatchObject({ completed: 0, canceled: 1 });
});

test.each(['\ud800', '\udc00x', '"\\\n', '\u0000', '__proto__', '\u2028'])(
  'custom_id %j is unchanged in the record',
  (id) => {
    const records = new LineRecords('batch_0123');
    records.addSuccess(1, id, answer);
    const { output } = records.close();
    expect(output.filter((byte) => byte === 10)).toHaveLength(1);
    expect(lines(output)[0]!['custom_id']).toBe(id);
  },
);

test('keeps long records complete', () => {
  const records = new LineRecords('batch_0123');
  const json = JSON.stringify({ text: 'x'.repeat(50_000) });
  for (let line = 1; line <= 20; line++) records.addSuccess(line, `é${line}`, { ...answer, json });
  const { output } = records.close();
  expect(lines(output).map((line) => line['custom_id'])).toEqual(
    Array.from({ length: 20 }, (_, at) => `é${at + 1}`),
  );
});
