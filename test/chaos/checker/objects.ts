/**
 * Invariant 4: what a row refers to lies in the store, whole; what lies there and no row refers to comes from an
 * attempt that lost its chunk, or from an upload that a crash cut off before its row.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { referencedObjects, retiredObjects } from '../../support/compare-stored-objects.ts';
import type { Check } from '../fault.ts';
import type { CheckContext } from './check-context.ts';
import { ProblemList } from './problem-list.ts';

const ofChunk = /^[^/]+\/batches\/([^/]+)\/(\d+)-(\d+)\.(?:output|error|checkpoint-\d+)\.jsonl(?:\.gz)?$/;
const ofUpload = /^[^/]+\/(?:files|uploads\/[^/]+)\/[^/]+$/;

interface Unreferenced {
  /** Objects of attempts that were lost, fenced out or handed back: garbage. */
  readonly ofVoidAttempts: string[];
  readonly ofLostUploads: string[];
}

export async function checkObjects(context: CheckContext): Promise<Check[]> {
  const there = new ProblemList('4 every object that a row refers to is there, with its size');
  const garbage = new ProblemList('4 objects that nothing refers to come from lost attempts only');
  await checkpointsGone(context, garbage);
  const wanted = await references(context);
  const unreferenced: Unreferenced = { ofVoidAttempts: [], ofLostUploads: [] };
  const halves = await context.objects.listUnfinished();
  const stored = await context.objects.listSizes();
  for (const half of halves) stored.delete(half);
  for (const { key } of await context.database.rows<{ key: string }>(retiredObjects)) stored.delete(key);
  for (const [key, bytes] of stored) {
    const due = wanted.get(key);
    wanted.delete(key);
    if (due === undefined) await attribute(key, context, unreferenced, garbage);
    else if (due !== bytes) there.add(`${key} has ${bytes} bytes, its row says ${due}`);
  }
  for (const key of wanted.keys()) there.add(`${key} is missing`);
  const { ofVoidAttempts, ofLostUploads } = unreferenced;
  if (ofLostUploads.length > (context.lostUploads ?? 0)) {
    garbage.add(`${ofLostUploads.length} uploads without a row, ${context.lostUploads ?? 0} were cut off`);
  }
  return [
    there.toCheck(`${stored.size - ofVoidAttempts.length - ofLostUploads.length} objects`),
    garbage.toCheck(
      `${ofVoidAttempts.length} of void attempts, ${ofLostUploads.length} of cut uploads, ` +
        `${halves.length} unfinished`,
    ),
  ];
}

/** How long the sweep may take to delete what was kept of chunks that are done. */
const sweptWithinMs = 15_000;

async function checkpointsGone({ database }: CheckContext, garbage: ProblemList): Promise<void> {
  const deadline = Date.now() + sweptWithinMs;
  for (;;) {
    const { count } = await database.one<{ count: number }>(
      `select (select count(*) from checkpoints) +
         (select count(*) from retired_objects where due_at <= clock_timestamp()) as count`,
    );
    if (count === 0) return;
    if (Date.now() > deadline) return garbage.add(`${count} checkpoints are not swept`);
    await sleep(250);
  }
}

/** Key → bytes of what files list and what chunks have committed. */
async function references({ database }: CheckContext): Promise<Map<string, number>> {
  const rows = await database.rows<{ key: string; bytes: number }>(referencedObjects);
  return new Map(rows.map(({ key, bytes }) => [key, Number(bytes)]));
}

async function attribute(
  key: string,
  { database }: CheckContext,
  into: Unreferenced,
  garbage: ProblemList,
): Promise<void> {
  if (ofUpload.test(key)) return void into.ofLostUploads.push(key);
  const [, batchId, chunk, attempt] = ofChunk.exec(key) ?? [];
  if (!batchId) return garbage.add(`${key} is nobody’s`);
  const [row] = await database.rows<{ outcome: string | null }>(
    'select outcome from attempts where batch_id = $1 and chunk = $2 and number = $3',
    [batchId, Number(chunk), Number(attempt)],
  );
  if (row?.outcome === 'lost' || row?.outcome === 'released' || row?.outcome === 'failed')
    into.ofVoidAttempts.push(key);
  else garbage.add(`${key} belongs to an attempt that is ${row?.outcome ?? 'unknown'}`);
}
