/** Invariants 1 and 5 for tasks: each has ended with one terminal event, and none of its attempts lacks an outcome. */
import type { Check } from '../fault.ts';
import type { CheckContext } from './check-context.ts';
import { ProblemList } from './problem-list.ts';

export async function checkTasks({ database }: CheckContext): Promise<Check[]> {
  const ends = new ProblemList('1, 5 every task has ended, with one terminal event that matches its status');
  const attempts = new ProblemList('1 the last attempt of a task decides, and every attempt has an outcome');
  const tasks = await database.rows<{
    id: string;
    status: string;
    sequence: number;
    ends: string[];
    events: number;
  }>(
    `select t.id, t.status, t.sequence, coalesce(array_agg(e.type) filter (where e.terminal), '{}') as ends,
       count(e.id)::int as events
     from tasks t left join events e on e.subject = t.id group by t.id`,
  );
  for (const { id, status, sequence, ends: types, events } of tasks) {
    if (types.length !== 1 || types[0] !== `task.${status}`)
      ends.add(`${id} is ${status} and ended with ${types.join(', ') || 'no event'}`);
    if (events !== sequence) ends.add(`${id} is at sequence ${sequence} and has ${events} events`);
  }
  const open = await database.rows<{ id: string; number: number; outcome: string | null; status: string }>(
    `select t.id, a.number, a.outcome, t.status from attempts a join tasks t on t.id = a.task_id
     where a.outcome is null or (t.status = 'succeeded') <> (a.number = t.attempt and a.outcome = 'succeeded')
       and a.number = t.attempt`,
  );
  for (const { id, number, outcome, status } of open)
    attempts.add(`${id} is ${status}, its attempt ${number} ${outcome ?? 'open'}`);
  return [ends.toCheck(`${tasks.length} tasks`), attempts.toCheck(`${tasks.length} tasks`)];
}
