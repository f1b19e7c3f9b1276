/** Invariant 5: each subject has one terminal event, its events are numbered without a gap, and so are the feed's positions. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check } from '../fault.ts';
import type { CheckContext } from './check-context.ts';
import { ProblemList } from './problem-list.ts';

/** Bound on how long the relay takes to publish the last event. */
const publishedWithinMs = 5_000;

export async function checkEvents({ database }: CheckContext): Promise<Check[]> {
  const ends = new ProblemList('5 one terminal event per batch, which matches its status');
  const sequences = new ProblemList('5 the sequence of each subject has no gap');
  const subjects = await database.rows<{
    id: string;
    status: string;
    sequence: number;
    ends: string[];
    sequences: number[];
  }>(
    `select b.id, b.status, b.sequence,
       coalesce(array_agg(e.type) filter (where e.terminal), '{}') as ends,
       coalesce(array_agg(e.sequence order by e.sequence) filter (where e.id is not null), '{}') as sequences
     from batches b left join events e on e.subject = b.id
     group by b.id`,
  );
  let events = 0;
  for (const { id, status, sequence, ends: types, sequences: numbers } of subjects) {
    events += numbers.length;
    if (types.length !== 1 || types[0] !== `batch.${status}`) {
      ends.add(`${id} is ${status} and ended with ${types.join(', ') || 'no event'}`);
    }
    if (numbers.length !== sequence || numbers.some((number, at) => number !== at + 1)) {
      sequences.add(`${id} is at ${sequence} and has ${numbers.join(',')}`);
    }
  }
  return [
    ends.toCheck(`${subjects.length} batches, ${subjects.length} ends`),
    sequences.toCheck(`${events} events`),
    await checkFeeds({ database }),
  ];
}

async function checkFeeds({ database }: Pick<CheckContext, 'database'>): Promise<Check> {
  const problems = new ProblemList('5 the positions of each feed have no gap');
  const deadline = Date.now() + publishedWithinMs;
  const countUnpublished = () =>
    database.one<{ count: number }>('select count(*) as count from events where feed_position is null');
  const [relay] = await database.rows(`select 1 from leases where name = 'relay'`);
  if (!relay) return problems.toCheck('no relay was elected, so no event is published');
  while ((await countUnpublished()).count > 0 && Date.now() < deadline) await sleep(100);
  const { count } = await countUnpublished();
  if (count > 0) problems.add(`${count} events are not published after ${publishedWithinMs / 1_000} s`);
  const feeds = await database.rows<{
    id: string;
    head: number | null;
    events: number;
    first: number;
    last: number;
  }>(
    `select e.workspace_id as id, f.position as head, count(e.feed_position) as events,
       min(e.feed_position) as first, max(e.feed_position) as last
     from events e left join feeds f on f.workspace_id = e.workspace_id
     group by e.workspace_id, f.position`,
  );
  for (const { id, head, events, first, last } of feeds) {
    if (first !== 1 || last !== events || head !== last) {
      problems.add(`${id}: ${events} events from ${first} to ${last}, the feed's last position is ${head}`);
    }
  }
  return problems.toCheck(
    `${feeds.reduce((sum, { events }) => sum + events, 0)} positions in ${feeds.length} feed(s)`,
  );
}
