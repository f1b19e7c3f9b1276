/**
 * Invariant 4: every object that a row refers to exists with its size. An object without a row belongs to an attempt that
 * lost or released its chunk, or to an upload that a crash interrupted before its row was committed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { referencedObjects, retiredObjects } from '../../support/compare-stored-objects.ts';
import type { Check } from '../fault.ts';
import type { CheckContext } from './check-context.ts';
import { ProblemList } from './problem-list.ts';

const ofChunk = /^[^/]+\/batches\/([^/]+)\/(\d+)-(\d+)\.(?:output|error|checkpoint-\d+)\.jsonl(?:\.gz)?$/;
const ofUpload = /^[^/]+\/(?:files|uploads\/[^/]+)\/[^/]+$/;

interface Unreferenced {
  /** Objects of lost, released or failed attempts: garbage that is not deleted yet. */
  readonly ofVoidAttempts: string[];
  readonly ofLostUploads: string[];
}

export async function checkObjects(context: CheckContext): Promise<Check[]> {
  const there = new ProblemList('4 every object that a row refers to exists with its size');
  const garbage = new ProblemList('4 unreferenced objects belong to lost attempts only');
  await checkCheckpointsDeleted(context, garbage);
  const wanted = await references(context);
  const unreferenced: Unreferenced = { ofVoidAttempts: [], ofLostUploads: [] };
  const unfinished = await context.objects.listUnfinished();
  const stored = await context.objects.listSizes();
  for (const key of unfinished) stored.delete(key);
  for (const { key } of await context.database.rows<{ key: string }>(retiredObjects)) stored.delete(key);
  for (const [key, bytes] of stored) {
    const expected = wanted.get(key);
    wanted.delete(key);
    if (expected === undefined) await classifyUnreferenced(key, context, unreferenced, garbage);
    else if (expected !== bytes) there.add(`${key} has ${bytes} bytes; its row says ${expected}`);
  }
  for (const key of wanted.keys()) there.add(`${key} is missing`);
  const { ofVoidAttempts, ofLostUploads } = unreferenced;
  if (ofLostUploads.length > (context.lostUploads ?? 0)) {
    garbage.add(
      `${ofLostUploads.length} uploads without a row; ${context.lostUploads ?? 0} were interrupted`,
    );
  }
  return [
    there.toCheck(`${stored.size - ofVoidAttempts.length - ofLostUploads.length} objects`),
    garbage.toCheck(
      `${ofVoidAttempts.length} of lost attempts, ${ofLostUploads.length} of interrupted uploads, ` +
        `${unfinished.length} unfinished`,
    ),
  ];
}

/** Bound on how long the garbage collector takes to delete the checkpoints of finished chunks. */
const deletedWithinMs = 15_000;

async function checkCheckpointsDeleted({ database }: CheckContext, garbage: ProblemList): Promise<void> {
  const deadline = Date.now() + deletedWithinMs;
  for (;;) {
    const { count } = await database.one<{ count: number }>(
      `select (select count(*) from checkpoints) +
         (select count(*) from retired_objects where due_at <= clock_timestamp()) as count`,
    );
    if (count === 0) return;
    if (Date.now() > deadline) return garbage.add(`${count} checkpoints or retired objects are not deleted`);
    await sleep(250);
  }
}

/** @returns size by key of every object that a file or a chunk refers to. */
async function references({ database }: CheckContext): Promise<Map<string, number>> {
  const rows = await database.rows<{ key: string; bytes: number }>(referencedObjects);
  return new Map(rows.map(({ key, bytes }) => [key, Number(bytes)]));
}

async function classifyUnreferenced(
  key: string,
  { database }: CheckContext,
  into: Unreferenced,
  garbage: ProblemList,
): Promise<void> {
  if (ofUpload.test(key)) return void into.ofLostUploads.push(key);
  const [, batchId, chunk, attempt] = ofChunk.exec(key) ?? [];
  if (!batchId) return garbage.add(`${key} belongs to no attempt and no upload`);
  const [row] = await database.rows<{ outcome: string | null }>(
    'select outcome from attempts where batch_id = $1 and chunk = $2 and number = $3',
    [batchId, Number(chunk), Number(attempt)],
  );
  if (row?.outcome === 'lost' || row?.outcome === 'released' || row?.outcome === 'failed')
    into.ofVoidAttempts.push(key);
  else garbage.add(`${key} belongs to an attempt that is ${row?.outcome ?? 'unknown'}`);
}
