import { jest } from '@jest/globals';
import { kinds } from '#catalogue';
import type { ClaimedChunk } from '#database';
import { splitBufferLines } from '#domain';
import { createProviders } from '#providers';
import { createLogger } from '#telemetry';
import { ModelRuntimes } from '../../inference/model-runtimes.ts';
import { LineRecords } from './line-records.ts';
import { recordNotRun, runLines } from './run-lines.ts';

const { route } = createProviders();
const log = createLogger('test', 'silent');
/** No line in this file has media. */
const media = {} as never;
const chunk = { batchId: 'batch_1', kind: 'embeddings', model: 'sandbox/embeddings' } as ClaimedChunk;

afterEach(() => jest.restoreAllMocks());

const buildInput = (bodies: object[]) =>
  bodies
    .map((body, at) =>
      JSON.stringify({
        custom_id: `row-${at + 1}`,
        method: 'POST',
        url: '/v1/embeddings',
        body: { model: chunk.model, input: `text ${at + 1}`, ...body },
      }),
    )
    .join('\n');

async function run(bodies: object[], signal = new AbortController().signal, model = chunk.model) {
  const lines = [...splitBufferLines(Buffer.from(buildInput(bodies)), { maxBytes: 2 ** 20 })];
  const records = new LineRecords(chunk.batchId);
  await runLines(
    { ...chunk, model },
    lines,
    records,
    { runtimes: new ModelRuntimes(), route, media },
    signal,
    log,
  );
  const { output, errors, sums } = records.close();
  const parseRecords = (bytes: Buffer) =>
    bytes
      .toString()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  return { output: parseRecords(output), errors: parseRecords(errors), sums };
}

const getLineNumbers = (records: { custom_id: string }[]) =>
  records.map(({ custom_id }) => Number(custom_id.slice(4))).sort((a, b) => a - b);
const reject = { metadata: { sandbox: '{"reject":"bad"}' } };

test('when a packed call fails permanently, only the lines at fault fail', async () => {
  const bodies = Array.from({ length: 300 }, (_, at) => ({
    ...reject,
    ...([6, 7, 250].includes(at) && { input: 'bad' }),
  }));
  const { output, errors, sums } = await run(bodies);
  expect(getLineNumbers(errors)).toEqual([7, 8, 251]);
  expect(output).toHaveLength(297);
  expect(sums).toMatchObject({ completed: 297, failed: 3 });
  expect(errors[0].response).toMatchObject({ status_code: 400, body: { error: { code: 'sandbox_400' } } });
});

test('each line gets its own vectors, packed with other lines or alone', async () => {
  const bodies = Array.from({ length: 600 }, (_, at) => ({
    input: at % 3 ? `x${at}` : [`x${at}`, `y${at}`],
  }));
  const packed = await run(bodies);
  for (const { custom_id, response } of packed.output.filter((_, at) => at % 50 === 0)) {
    const alone = await run([bodies[Number(custom_id.slice(4)) - 1]!]);
    expect(response.body).toEqual(alone.output[0].response.body);
  }
});

test('a transient failure is retried, and fails after three attempts', async () => {
  jest.spyOn(Math, 'random').mockReturnValue(0);
  const { errors, sums } = await run([{}, {}], undefined, 'sandbox/embeddings:500');
  expect(errors.map(({ response }) => response.status_code)).toEqual([500, 500]);
  expect(Object.values(sums.latencyHistogram).reduce((sum, calls) => sum + calls, 0)).toBe(3);
});

test('a line that fails in our own code fails alone', async () => {
  const answer = kinds.embeddings.buildAnswer.bind(kinds.embeddings);
  jest.spyOn(kinds.embeddings, 'buildAnswer').mockImplementation((output, body) => {
    if (body.input === 'text 3') throw new RangeError('Invalid string length');
    return answer(output, body);
  });
  const { output, errors } = await run(Array(5).fill({}));
  expect([getLineNumbers(output), getLineNumbers(errors)]).toEqual([[1, 2, 4, 5], [3]]);
  expect(errors[0].response).toMatchObject({
    status_code: 500,
    body: { error: { type: 'server_error', code: 'internal_error' } },
  });
  expect(JSON.stringify(errors)).not.toContain('string length');
});

test('an abort is rethrown, and the answers so far stay in the records', async () => {
  const lines = [
    ...splitBufferLines(Buffer.from(buildInput([{}, { metadata: { sandbox: '{"delay_ms":60000}' } }])), {
      maxBytes: 2 ** 20,
    }),
  ];
  const records = new LineRecords(chunk.batchId);
  const stopping = new AbortController();
  setTimeout(() => stopping.abort(new Error('cancelled')), 50);
  const deps = { runtimes: new ModelRuntimes(), route, media };
  await expect(runLines(chunk, lines, records, deps, stopping.signal, log)).rejects.toThrow('cancelled');
  recordNotRun(lines, records, 'batch_cancelled');
  expect(records.close().sums).toMatchObject({ completed: 1, canceled: 1, failed: 0 });
});
