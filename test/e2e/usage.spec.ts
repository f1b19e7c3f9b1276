/** `/v1/usage` over the whole wire: what batches and tasks say of themselves, to the token, and at once. */
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
  const asked = { path: '/v1/tasks', method: 'POST', body: JSON.stringify(body), headers };
  return JSON.parse((await sendRaw(platform, asked)).text) as TaskObject;
};
/** Each waits for several things, one after the other. */
const wideMs = 240_000;
const day = 86_400;
/** Yesterday as well: a test that runs over midnight has used its part there. */
const since = () => Math.floor(Date.now() / 1_000) - day;
const results = async (query: string, apiKey?: string): Promise<UsageResult[]> => {
  const page = await get<UsagePage>(`/v1/usage?start_time=${since()}&${query}`, apiKey);
  return page.data.flatMap((bucket) => bucket.results);
};
const sumOf = (all: readonly UsageResult[], of: (one: UsageResult) => number) =>
  all.reduce((sum, one) => sum + of(one), 0);

const chat = (model: string, content: string, more: object = {}) =>
  task({ kind: 'chat-completion', model, input: { messages: [{ role: 'user', content }], ...more } });

test(
  'a batch and a task are in it as they say themselves, before and after they are summed by the hour',
  async () => {
    const rejected = { input: 'a bad one', metadata: { sandbox: JSON.stringify({ reject: 'bad' }) } };
    const lines = Array.from({ length: 150 }, (_, at) =>
      buildLine(`row-${at}`, at % 50 === 7 ? rejected : { input: `text number ${at}` }),
    );
    const batch = await runBatch(platform.client, toJsonl(lines));
    const { completed, failed } = batch.request_counts!;
    expect([completed, failed]).toEqual([147, 3]);
    const one = await task({
      kind: 'embeddings',
      model: 'sandbox/embeddings',
      input: { input: 'a single text' },
    });
    expect(one.status).toBe('succeeded');

    const compare = async () => {
      const all = await results('group_by=model,provider,api_key,kind,batch&models=sandbox/embeddings');
      const ofBatch = all.filter((each) => each.batch);
      const ofTask = all.filter((each) => !each.batch);
      expect(sumOf(ofBatch, (each) => each.num_model_requests)).toBe(completed + failed);
      expect(sumOf(ofBatch, (each) => each.millrace.failed_requests)).toBe(failed);
      expect(sumOf(ofBatch, (each) => each.input_tokens)).toBe(batch.usage!.input_tokens);
      expect(
        sumOf(ofBatch, (each) => Object.values(each.millrace.errors).reduce((sum, n) => sum + n, 0)),
      ).toBe(failed);
      expect(sumOf(ofBatch, (each) => each.millrace.input_bytes)).toBe(Buffer.byteLength(toJsonl(lines)));
      // Billionths are whole: what each chunk was estimated at adds up.
      expect(sumOf(ofBatch, (each) => Math.round(each.millrace.cost.estimated_usd! * 1e9))).toBe(
        batch.usage!.input_tokens * 2_000,
      );
      expect(sumOf(ofTask, (each) => each.num_model_requests)).toBe(1);
      expect(sumOf(ofTask, (each) => each.input_tokens)).toBe(one.usage!.input_tokens);
      const [keys] = await sql.rows<{ id: string }>(`select id from api_keys order by created_at limit 1`);
      for (const each of all) {
        expect(each).toMatchObject({
          ...{ model: 'sandbox/embeddings', api_key_id: keys!.id },
          millrace: { provider: 'sandbox', kind: 'embeddings', token: null, cost: { reported_usd: null } },
        });
      }
    };
    await compare();
    const waiting = async () =>
      (await sql.rows<{ n: string }>('select count(*) as n from usage_entries'))[0]!.n;
    await waitUntil(async () => (await waiting()) === '0', {
      what: 'the sums to be made',
      withinMs: 120_000,
    });
    await compare();
    expect(await results('bucket_width=1h&limit=168&group_by=kind')).not.toEqual([]);
    const { apiKey } = await createWorkspace(sql);
    expect(await results('group_by=model', apiKey)).toEqual([]);
  },
  wideMs,
);

test(
  'what the provider says that it charges, beside what the table of prices says; and what is left of the credit',
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
    const byModel = await results('group_by=model,token&providers=billed');
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
      // One of two did not say what it has cost: only an estimate can tell what is left.
      ...{ remaining_usd: null, estimated_remaining_usd: expect.any(Number) },
    };
    expect(data).toMatchObject([credit]);
    const { apiKey } = await createWorkspace(sql);
    const refused = await sendRaw({ ...platform, apiKey }, { path: '/v1/usage/credit' });
    expect([refused.status, refused.error.code]).toEqual([403, 'operators_only']);
  },
  wideMs,
);

test(
  'pictures, by the piece',
  async () => {
    const made = await task({
      ...{ kind: 'text-to-image', model: 'sandbox/text-to-image' },
      input: { prompt: 'a mill', n: 2 },
      options: { size: '64x64' },
    });
    expect(made.status).toBe('succeeded');
    const [picture] = await results('kinds=text-to-image');
    expect(picture!.millrace).toMatchObject({ images: 2, cost: { estimated_usd: 0.08, reported_usd: null } });
    expect(picture!.millrace.output_bytes).toBeGreaterThan(100);
  },
  wideMs,
);

test(
  'a list in each of its forms, and a field that is wrong by its name',
  async () => {
    const client = platform.client;
    const query = { start_time: since(), bucket_width: '1d', group_by: ['model', 'kind'], limit: 1 };
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
  wideMs,
);
