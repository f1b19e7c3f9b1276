/** `GET /v1/usage` on a running platform: it equals the usage of batches and tasks to the token, and without a delay. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CreditObject, TaskAttempt, TaskObject, UsagePage, UsageResult } from '@millrace/contracts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import { createWorkspace } from '../support/workspaces.ts';
import { billedUsd } from '../support/upstream/openai.ts';
import { ScriptedUpstream } from '../support/upstream/server.ts';
import { toJsonl, buildLine, runBatch } from './support/batch-lines.ts';
import { sendRaw } from './support/raw-http.ts';

const prices = {
  'sandbox/*': { input_tokens: 2 },
  'billed/gpt-*': { input_tokens: 10, output_tokens: 20 },
  'sandbox/text-to-image': { image: 0.04 },
};

let platform: Platform;
let upstream: ScriptedUpstream;
let sql: SqlClient;
let folder: string;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  folder = await mkdtemp(join(tmpdir(), 'millrace-prices-'));
  const PRICES = join(folder, 'prices.json');
  await writeFile(PRICES, JSON.stringify(prices));
  const server = {
    OPENAI_COMPATIBLE: `billed=${upstream.url}/v1`,
    OPENAI_COMPATIBLE_KEYS: 'billed=sk-usage-e2e',
  };
  platform = await startPlatform({ env: { ...server, PRICES, FREE_CREDIT_USD: 'billed=0.001' } });
  sql = await connectSql(platform.databaseUrl);
});
afterAll(async () => {
  await sql?.end();
  await platform?.stop();
  await upstream?.close();
  if (folder) await rm(folder, { recursive: true });
});

const get = async <T>(path: string, apiKey = platform.apiKey): Promise<T> =>
  JSON.parse((await sendRaw({ ...platform, apiKey }, { path })).text) as T;
const task = async (body: object): Promise<TaskObject> => {
  const headers = { 'content-type': 'application/json', prefer: 'wait=60' };
  const request = { path: '/v1/tasks', method: 'POST', body: JSON.stringify(body), headers };
  return JSON.parse((await sendRaw(platform, request)).text) as TaskObject;
};
/** Each test waits for several events one after the other. */
const timeoutMs = 240_000;
const day = 86_400;
/** Includes yesterday, for a test that runs over midnight. */
const getStartTime = () => Math.floor(Date.now() / 1_000) - day;
const getResults = async (query: string, apiKey?: string): Promise<UsageResult[]> => {
  const page = await get<UsagePage>(`/v1/usage?start_time=${getStartTime()}&${query}`, apiKey);
  return page.data.flatMap((bucket) => bucket.results);
};
const sum = (results: readonly UsageResult[], read: (result: UsageResult) => number) =>
  results.reduce((total, result) => total + read(result), 0);

const chat = (model: string, content: string, more: object = {}) =>
  task({ kind: 'chat-completion', model, input: { messages: [{ role: 'user', content }], ...more } });

test(
  'the usage of a batch and a task equals their own, before and after the hourly roll-up',
  async () => {
    const rejected = { input: 'a bad one', metadata: { sandbox: JSON.stringify({ reject: 'bad' }) } };
    const lines = Array.from({ length: 150 }, (_, at) =>
      buildLine(`row-${at}`, at % 50 === 7 ? rejected : { input: `text number ${at}` }),
    );
    const batch = await runBatch(platform.client, toJsonl(lines));
    const { completed, failed } = batch.request_counts!;
    expect([completed, failed]).toEqual([147, 3]);
    const single = await task({
      kind: 'embeddings',
      model: 'sandbox/embeddings',
      input: { input: 'a single text' },
    });
    expect(single.status).toBe('succeeded');

    const compare = async () => {
      const all = await getResults('group_by=model,provider,api_key,kind,batch&models=sandbox/embeddings');
      const ofBatch = all.filter((each) => each.batch);
      const ofTask = all.filter((each) => !each.batch);
      expect(sum(ofBatch, (each) => each.num_model_requests)).toBe(completed + failed);
      expect(sum(ofBatch, (each) => each.millrace.failed_requests)).toBe(failed);
      expect(sum(ofBatch, (each) => each.input_tokens)).toBe(batch.usage!.input_tokens);
      expect(
        sum(ofBatch, (each) => Object.values(each.millrace.errors).reduce((total, n) => total + n, 0)),
      ).toBe(failed);
      expect(sum(ofBatch, (each) => each.millrace.input_bytes)).toBe(Buffer.byteLength(toJsonl(lines)));
      // Estimates are whole billionths of a dollar, so those of the chunks add up exactly.
      expect(sum(ofBatch, (each) => Math.round(each.millrace.cost.estimated_usd! * 1e9))).toBe(
        batch.usage!.input_tokens * 2_000,
      );
      expect(sum(ofTask, (each) => each.num_model_requests)).toBe(1);
      expect(sum(ofTask, (each) => each.input_tokens)).toBe(single.usage!.input_tokens);
      const [keys] = await sql.rows<{ id: string }>(`select id from api_keys order by created_at limit 1`);
      for (const each of all) {
        expect(each).toMatchObject({
          ...{ model: 'sandbox/embeddings', api_key_id: keys!.id },
          millrace: { provider: 'sandbox', kind: 'embeddings', token: null, cost: { reported_usd: null } },
        });
      }
    };
    await compare();
    const countEntries = async () =>
      (await sql.rows<{ n: string }>('select count(*) as n from usage_entries'))[0]!.n;
    await waitUntil(async () => (await countEntries()) === '0', {
      what: 'the roll-up',
      withinMs: 120_000,
    });
    await compare();
    expect(await getResults('bucket_width=1h&limit=168&group_by=kind')).not.toEqual([]);
    const { apiKey } = await createWorkspace(sql);
    expect(await getResults('group_by=model', apiKey)).toEqual([]);
  },
  timeoutMs,
);

test(
  'costs that the provider reports, estimates by the price table, and the remaining credit',
  async () => {
    const billed = await chat('billed/gpt-billed', 'What turns?');
    const silent = await chat('billed/gpt-silent', 'What turns?', { stream: true });
    expect([billed.status, silent.status]).toEqual(['succeeded', 'succeeded']);
    const attempt = async ({ id }: TaskObject) =>
      (await get<{ data: TaskAttempt[] }>(`/v1/tasks/${id}/attempts`)).data[0]!;
    const estimate = ({ usage }: TaskObject) => (usage!.input_tokens * 10 + usage!.output_tokens * 20) / 1e6;
    expect(await attempt(billed)).toMatchObject({
      ...{ reported_cost_usd: billedUsd, estimated_cost_usd: estimate(billed), first_token_ms: null },
      ...{ input_tokens: billed.usage!.input_tokens, output_bytes: JSON.stringify(billed.output).length },
    });
    expect(await attempt(silent)).toMatchObject({
      ...{
        reported_cost_usd: null,
        estimated_cost_usd: estimate(silent),
        first_token_ms: expect.any(Number),
      },
    });
    const byModel = await getResults('group_by=model,token&providers=billed');
    const token = byModel[0]!.millrace.token;
    expect(token).toMatch(/^[0-9a-f]{12}$/);
    expect(byModel.map(({ model, millrace }) => [model, millrace.cost.reported_usd])).toEqual([
      ['billed/gpt-billed', billedUsd],
      ['billed/gpt-silent', null],
    ]);
    const { data } = await get<{ data: CreditObject[] }>('/v1/usage/credit');
    const credit = {
      ...{ object: 'credit', provider: 'billed', token, active: true, requests: 2, free_credit_usd: 0.001 },
      cost: { reported_usd: billedUsd, reported_requests: 1, estimated_requests: 2 },
      // One of the two calls has no reported cost, so the remaining credit is an estimate.
      ...{ remaining_usd: null, estimated_remaining_usd: expect.any(Number) },
    };
    expect(data).toMatchObject([credit]);
    const { apiKey } = await createWorkspace(sql);
    const refused = await sendRaw({ ...platform, apiKey }, { path: '/v1/usage/credit' });
    expect([refused.status, refused.error.code]).toEqual([403, 'operators_only']);
  },
  timeoutMs,
);

test(
  'images are counted and priced by number',
  async () => {
    const made = await task({
      ...{ kind: 'text-to-image', model: 'sandbox/text-to-image' },
      input: { prompt: 'a mill', n: 2 },
      options: { size: '64x64' },
    });
    expect(made.status).toBe('succeeded');
    const [result] = await getResults('kinds=text-to-image');
    expect(result!.millrace).toMatchObject({ images: 2, cost: { estimated_usd: 0.08, reported_usd: null } });
    expect(result!.millrace.output_bytes).toBeGreaterThan(100);
  },
  timeoutMs,
);

test(
  'lists are accepted as repeated fields, and an invalid field is refused',
  async () => {
    const client = platform.client;
    const query = { start_time: getStartTime(), bucket_width: '1d', group_by: ['model', 'kind'], limit: 1 };
    const page = (await client.get('/usage', { query })) as UsagePage;
    expect(page).toMatchObject({ object: 'page', has_more: true, data: [{ object: 'bucket' }] });
    const next = (await client.get('/usage', { query: { ...query, page: page.next_page } })) as UsagePage;
    expect(next.data[0]!.start_time).toBe(page.data[0]!.end_time);
    for (const wrong of [
      '',
      'start_time=0&group_by=worker',
      'start_time=0&bucket_width=1m',
      'start_time=0&page=x',
    ]) {
      const answer = await sendRaw(platform, { path: `/v1/usage?${wrong}` });
      expect([answer.status, answer.error.code]).toEqual([400, 'invalid_request']);
    }
  },
  timeoutMs,
);
