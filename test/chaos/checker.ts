/**
 * The checker: reads the invariants of a fault run where they must hold (Postgres, queue, object storage, API), not from
 * what the run recorded. Files are streamed; it keeps one byte per line of a batch in memory.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check } from './fault.ts';
import { Counters } from './checker/counters.ts';
import type { CheckContext } from './checker/check-context.ts';
import { checkEvents } from './checker/events.ts';
import { ProblemList } from './checker/problem-list.ts';
import { checkObjects } from './checker/objects.ts';
import { readQueue } from './checker/queue.ts';
import { Records } from './checker/records.ts';
import { checkSecrets } from './checker/secrets.ts';
import { checkTasks } from './checker/tasks.ts';

export type { CheckContext };

/** A job that was delivered twice stays in the queue until a worker finds it stale. */
const emptyWithinMs = 20_000;

/** Call it when every batch has ended. A violated invariant is a failed check, not an exception. */
export async function check(context: CheckContext): Promise<Check[]> {
  const records = new Records(context);
  const counters = new Counters(context);
  for (const batch of context.batches) await counters.compare(batch, await records.read(batch));
  return [
    records.onePerLine.toCheck(`${records.lines} lines in ${context.batches.length} batches`),
    records.answers.toCheck(`${records.vectors} vectors recomputed`),
    counters.problems.toCheck(`${counters.batches} batches`),
    counters.commits.toCheck(`${counters.chunks} chunks`),
    records.ids.toCheck(`${records.lines} ids`),
    records.files.toCheck(`${records.lines} lines`),
    ...(await checkObjects(context)),
    ...(await checkEvents(context)),
    ...(await checkTasks(context)),
    ...(await checkSecrets(context)),
    await checkQueueIsEmpty(context),
    await checkNoUnknownBatch(context),
  ];
}

/** No job may remain when all work has ended. */
async function checkQueueIsEmpty({ queue }: CheckContext): Promise<Check> {
  const problems = new ProblemList('the queue is empty after all work has ended');
  const deadline = Date.now() + emptyWithinMs;
  let { payloads } = await readQueue(queue);
  while (payloads.length > 0 && Date.now() < deadline) {
    await sleep(250);
    ({ payloads } = await readQueue(queue));
  }
  for (const payload of payloads) problems.add(payload);
  return problems.toCheck('no job');
}

/** Every batch in the database was submitted by the run: a retried request did not create a second one. */
async function checkNoUnknownBatch({ database, batches }: CheckContext): Promise<Check> {
  const problems = new ProblemList('no batch exists that was not submitted');
  const known = batches.map(({ id }) => id);
  const rows = await database.rows<{ id: string; status: string }>(
    'select id, status from batches where not id = any($1)',
    [known],
  );
  for (const { id, status } of rows) problems.add(`${id} (${status})`);
  return problems.toCheck(`${known.length} batches`);
}
