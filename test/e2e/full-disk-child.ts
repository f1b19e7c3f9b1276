/** Run in a mount namespace of its own, its temporary folder a disk of 24 MB: fills it under a batch, and frees it. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { startPlatform, submitBatch, waitUntil } from '../support/platform.ts';
import { connectSql } from '../support/sql.ts';

const lines = 600;
const sandbox = JSON.stringify({ item_ms: 10 });
const jsonl = Array.from({ length: lines }, (_, at) => {
  const body = { model: 'sandbox/embeddings', input: `text ${at}`, metadata: { sandbox } };
  return `${JSON.stringify({ custom_id: `row-${at}`, method: 'POST', url: '/v1/embeddings', body })}\n`;
}).join('');

/** Takes what is left, to the last block. */
function fill(): string {
  const filler = join(tmpdir(), 'filler');
  for (let size = 2 ** 20; size >= 512;) {
    try {
      writeFileSync(filler, Buffer.alloc(size, 'x'), { flag: 'a' });
    } catch {
      size /= 2;
    }
  }
  return filler;
}

const platform = await startPlatform({ env: { WORKER_SLOTS: '1' } });
const sql = await connectSql(platform.databaseUrl);
const batch = (id: string) => platform.client.batches.retrieve(id);
const failures = async (id: string) =>
  (
    await sql.rows<{ code: string }>(
      `select error_code as code from attempts where batch_id = $1 and outcome = 'released'`,
      [id],
    )
  ).map(({ code }) => code);

async function upload(): Promise<{ status: number; code: string; retryAfter: boolean }> {
  const body = new FormData();
  body.set('purpose', 'batch');
  body.set('file', new File([jsonl], 'a.jsonl'));
  const headers = { authorization: `Bearer ${platform.apiKey}` };
  const answer = await fetch(`${platform.url}/v1/files`, { method: 'POST', headers, body });
  const { error } = (await answer.json()) as { error?: { code: string } };
  return { status: answer.status, code: error?.code ?? '', retryAfter: answer.headers.has('retry-after') };
}

try {
  const id = await submitBatch(platform, jsonl);
  await waitUntil(async () => (await batch(id)).request_counts!.completed > 0, { what: 'a first chunk' });
  const filler = fill();
  await waitUntil(async () => (await failures(id)).length > 0, { what: 'a chunk to fail' });
  const whileFull = await upload();
  const { status: statusWhileFull } = await batch(id);
  rmSync(filler);
  await waitUntil(async () => (await batch(id)).status === 'completed', {
    what: 'the batch',
    withinMs: 90_000,
  });
  const { request_counts: counts, output_file_id: output } = await batch(id);
  const content = await (await platform.client.files.content(output!)).text();
  const report = {
    failures: [...new Set(await failures(id))],
    whileFull,
    statusWhileFull,
    counts,
    records: new Set(content.match(/row-\d+/g)).size,
    afterwards: (await upload()).status,
    missing: (await compareStoredObjects(platform, sql)).missing,
    temporary: readdirSync(join(platform.home, 'objects', '.tmp')),
  };
  process.stdout.write(JSON.stringify(report));
} finally {
  await sql.end();
  await platform.stop();
}
