/** Builds batches of embedding lines, and runs them through the `openai` package. */
import type OpenAI from 'openai';
import { toFile } from 'openai';
import { terminalStatuses, waitUntil } from '../../support/platform.ts';

export type Batch = OpenAI.Batch & {
  model: string | null;
  millrace: {
    progress: number;
    paused: boolean;
    retry_of: string | null;
    eta_seconds: number | null;
    canceled_count: number;
    expired_count: number;
  };
};

/** The response body of any endpoint; each test reads the fields that it checks. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Body = any;

export interface ResultLine {
  id: string;
  custom_id: string;
  response: { status_code: number; request_id: string; body: Body } | null;
  error: { code: string; message: string } | null;
}

export const buildLine = (custom_id: string, body: object = {}, over: object = {}) => ({
  custom_id,
  method: 'POST',
  url: '/v1/embeddings',
  body: { model: 'sandbox/embeddings', input: custom_id, ...body },
  ...over,
});

export const toJsonl = (lines: readonly unknown[]) =>
  lines.map((each) => `${JSON.stringify(each)}\n`).join('');

export async function uploadInput(client: OpenAI, content: string | Buffer, name = 'input.jsonl') {
  return client.files.create({ file: await toFile(Buffer.from(content), name), purpose: 'batch' });
}

export async function createBatch(
  client: OpenAI,
  content: string | Buffer,
  over: Partial<OpenAI.BatchCreateParams> = {},
): Promise<Batch> {
  const { id } = await uploadInput(client, content);
  const params = {
    input_file_id: id,
    endpoint: '/v1/embeddings',
    completion_window: '24h',
    ...over,
  } as const;
  return (await client.batches.create(params)) as Batch;
}

export async function waitForBatch(client: OpenAI, id: string, withinMs = 60_000): Promise<Batch> {
  let batch!: Batch;
  const what = `batch ${id} to end`;
  await waitUntil(
    async () => {
      batch = (await client.batches.retrieve(id)) as Batch;
      return terminalStatuses.includes(batch.status);
    },
    { what, withinMs, everyMs: 60 },
  );
  return batch;
}

export const runBatch = async (client: OpenAI, content: string | Buffer): Promise<Batch> =>
  waitForBatch(client, (await createBatch(client, content)).id);

/** @returns the lines of a result file; none without a file. */
export async function readRecords(client: OpenAI, fileId: string | null | undefined): Promise<ResultLine[]> {
  if (!fileId) return [];
  const text = await (await client.files.content(fileId)).text();
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((each) => JSON.parse(each) as ResultLine);
}

/** @returns the error of a call that must fail. */
export async function catchError(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  try {
    await call;
  } catch (error) {
    return error as InstanceType<typeof OpenAI.APIError>;
  }
  throw new Error('the call was expected to fail');
}
