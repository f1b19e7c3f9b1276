/**
 * The checker: the invariants of a fault run, each read from where it must hold (Postgres, the queue, the store,
 * the API), never from what the run believes. Files stream; of a batch it remembers one byte a line.
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

/** Jobs that were delivered twice go when a worker has found them stale. */
const emptyWithinMs = 20_000;

/** To be called when every batch has ended. Fails by its checks alone, never by an exception of what it reads. */
export async function check(context: CheckContext): Promise<Check[]> {
  const records = new Records(context);
  const counters = new Counters(context);
  for (const batch of context.batches) await counters.compare(batch, await records.read(batch));
  return [
    records.onePerLine.toCheck(`${records.lines} lines in ${context.batches.length} batches`),
    records.answers.toCheck(`${records.vectors} vectors computed again`),
    counters.problems.toCheck(`${counters.batches} batches`),
    counters.commits.toCheck(`${counters.chunks} chunks`),
    records.ids.toCheck(`${records.lines} ids`),
    records.files.toCheck(`${records.lines} lines`),
    ...(await checkObjects(context)),
    ...(await checkEvents(context)),
    ...(await checkTasks(context)),
    ...(await checkSecrets(context)),
    await nothingWaits(context),
    await nothingUnknown(context),
  ];
}

/** Work that is over leaves no job behind. */
async function nothingWaits({ queue }: CheckContext): Promise<Check> {
  const problems = new ProblemList('the queue is empty once all work is done');
  const deadline = Date.now() + emptyWithinMs;
  let { payloads } = await readQueue(queue);
  while (payloads.length > 0 && Date.now() < deadline) {
    await sleep(250);
    ({ payloads } = await readQueue(queue));
  }
  for (const payload of payloads) problems.add(payload);
  return problems.toCheck('no job');
}

/** Every batch in the database is one that the run knows of: a retried request made no second one. */
async function nothingUnknown({ database, batches }: CheckContext): Promise<Check> {
  const problems = new ProblemList('no batch but those that were submitted');
  const known = batches.map(({ id }) => id);
  const rows = await database.rows<{ id: string; status: string }>(
    'select id, status from batches where not id = any($1)',
    [known],
  );
  for (const { id, status } of rows) problems.add(`${id} (${status})`);
  return problems.toCheck(`${known.length} batches`);
}
