/**
 * The checker: the invariants of a fault run, each read from where it must hold (Postgres, the queue, the store,
 * the API), never from what the run believes. Files stream; of a batch it remembers one byte a line.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check } from './fault.ts';
import { Counters } from './checker/counters.ts';
import type { Evidence } from './checker/evidence.ts';
import { checkFacts } from './checker/facts.ts';
import { Finding } from './checker/finding.ts';
import { checkObjects } from './checker/objects.ts';
import { lookIntoQueue } from './checker/queue.ts';
import { Records } from './checker/records.ts';
import { checkSecrets } from './checker/secrets.ts';
import { checkTasks } from './checker/tasks.ts';

export type { Evidence };

/** Jobs that were delivered twice go when a worker has found them stale. */
const emptyWithinMs = 20_000;

/** To be called when every batch has ended. Fails by its checks alone, never by an exception of what it reads. */
export async function check(evidence: Evidence): Promise<Check[]> {
  const records = new Records(evidence);
  const counters = new Counters(evidence);
  for (const batch of evidence.batches) await counters.compare(batch, await records.read(batch));
  return [
    records.onePerLine.toCheck(`${records.lines} lines in ${evidence.batches.length} batches`),
    records.answers.toCheck(`${records.vectors} vectors computed again`),
    counters.finding.toCheck(`${counters.batches} batches`),
    counters.commits.toCheck(`${counters.chunks} chunks`),
    records.ids.toCheck(`${records.lines} ids`),
    records.files.toCheck(`${records.lines} lines`),
    ...(await checkObjects(evidence)),
    ...(await checkFacts(evidence)),
    ...(await checkTasks(evidence)),
    ...(await checkSecrets(evidence)),
    await nothingWaits(evidence),
    await nothingUnknown(evidence),
  ];
}

/** Work that is over leaves no job behind. */
async function nothingWaits({ queue }: Evidence): Promise<Check> {
  const finding = new Finding('the queue is empty once all work is done');
  const deadline = Date.now() + emptyWithinMs;
  let { payloads } = await lookIntoQueue(queue);
  while (payloads.length > 0 && Date.now() < deadline) {
    await sleep(250);
    ({ payloads } = await lookIntoQueue(queue));
  }
  for (const payload of payloads) finding.problem(payload);
  return finding.toCheck('no job');
}

/** Every batch in the database is one that the run knows of: a retried request made no second one. */
async function nothingUnknown({ truth, batches }: Evidence): Promise<Check> {
  const finding = new Finding('no batch but those that were submitted');
  const known = batches.map(({ id }) => id);
  const rows = await truth.rows<{ id: string; status: string }>(
    'select id, status from batches where not id = any($1)',
    [known],
  );
  for (const { id, status } of rows) finding.problem(`${id} (${status})`);
  return finding.toCheck(`${known.length} batches`);
}
