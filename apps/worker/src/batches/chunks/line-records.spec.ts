import { Prices } from '#domain';
import { LineRecords, type FinishedLine } from './line-records.ts';

const answer = { json: '{"object":"list"}', usage: { inputTokens: 3, outputTokens: 0 } };
const lines = (bytes: Buffer) =>
  bytes
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('each record is as the wire has it', () => {
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

test('what another attempt has finished counts as if it had been finished here: its use, and why it failed', () => {
  const finished: FinishedLine[] = [];
  const usage = { inputTokens: 5, outputTokens: 2, images: 1, cost: 0.000_000_25 };
  const first = new LineRecords('batch_0123', (line) => finished.push(line));
  first.addSuccess(1, 'a', { ...answer, usage });
  first.addSuccess(2, 'b', answer);
  first.addFailure(3, 'c', 503, { message: 'm', type: 'server_error', param: null, code: 'model_loading' });
  first.addFailure(4, 'd', 500, { message: 'm', type: 'server_error', param: null, code: 'its own words' });
  const second = new LineRecords('batch_0123');
  for (const line of finished) second.restore(line);
  const [one, other] = [first.close(), second.close()];
  expect(other.sums).toEqual(one.sums);
  expect(one.sums).toMatchObject({
    inputTokens: 8,
    outputTokens: 2,
    errorCodes: { model_loading: 1, other: 1 },
  });
  const prices = new Prices({ 'x/y': { call: 1 } });
  expect(other.meter.toMetering('x/y', prices)).toEqual(one.meter.toMetering('x/y', prices));
  expect(one.meter.toMetering('x/y', prices)).toEqual({
    ...{ images: 1, mediaMs: 0, reportedCost: 250, reportedRequests: 1, estimatedCost: 2e9 },
  });
});

test('a line has one record: the first; and none once they are closed', () => {
  const records = new LineRecords('batch_0123');
  records.addNotRun(1, 'a', 'batch_cancelled', 'why');
  records.addSuccess(1, 'a', answer);
  const { output, errors, sums } = records.close();
  records.addSuccess(2, 'b', answer);
  expect([lines(output).length, lines(errors).length]).toEqual([0, 1]);
  expect(sums).toMatchObject({ completed: 0, canceled: 1 });
});

test.each(['\ud800', '\udc00x', '"\\\n', '\u0000', '__proto__', '\u2028'])(
  'custom_id %j comes back the same',
  (id) => {
    const records = new LineRecords('batch_0123');
    records.addSuccess(1, id, answer);
    const { output } = records.close();
    expect(output.filter((byte) => byte === 10)).toHaveLength(1);
    expect(lines(output)[0]!['custom_id']).toBe(id);
  },
);

test('text of any length is put together whole', () => {
  const records = new LineRecords('batch_0123');
  const json = JSON.stringify({ text: 'x'.repeat(50_000) });
  for (let line = 1; line <= 20; line++) records.addSuccess(line, `é${line}`, { ...answer, json });
  const { output } = records.close();
  expect(lines(output).map((line) => line['custom_id'])).toEqual(
    Array.from({ length: 20 }, (_, at) => `é${at + 1}`),
  );
});
