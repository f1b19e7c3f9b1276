/** Violates each invariant once, and undoes it, to show that the checker finds it. */
import type { Deployment } from './deployment.ts';

type Undo = () => Promise<void>;

export interface Violation {
  readonly description: string;
  /** Beginning of the name of the check that must fail. */
  readonly expectedCheck: string;
  readonly introduce: (deployment: Deployment) => Promise<Undo>;
}

/** A statement and the statement that undoes it. */
const sql =
  (change: string, undo: string) =>
  async ({ database, submitted }: Deployment): Promise<Undo> => {
    const bound = (text: string) => (text.includes('$1') ? [submitted[0]!.id] : []);
    await database.rows(change, bound(change));
    return async () => void (await database.rows(undo, bound(undo)));
  };

/** Rewrites the first segment of the output file and sets the new size in its rows. */
const rewrite =
  (change: (lines: string[]) => string[]) =>
  async ({ database, submitted, platform: { objects } }: Deployment): Promise<Undo> => {
    const { key, fileId } = await database.one<{ key: string; fileId: string }>(
      `select object_key as key, file_id as "fileId" from file_segments s join batches b on b.output_file_id = s.file_id
       where b.id = $1 and position = 0`,
      [submitted[0]!.id],
    );
    const before = (await objects.read(key)).toString('utf8');
    const put = async (text: string) => {
      const lines = text.split('\n').length - 1;
      await objects.write(key, text);
      await database.rows('update file_segments set bytes = $2, lines = $3 where object_key = $1', [
        key,
        text.length,
        lines,
      ]);
      await database.rows('update chunks set output_bytes = $2 where output_key = $1', [key, text.length]);
      await database.rows(
        `update files f set bytes = s.bytes, lines = s.lines
         from (select sum(bytes) as bytes, sum(lines) as lines from file_segments where file_id = $1) s where f.id = $1`,
        [fileId],
      );
    };
    await put(`${change(before.trimEnd().split('\n')).join('\n')}\n`);
    return () => put(before);
  };

/** Adds an object with the given name; with null, removes the first segment of the output. */
const object =
  (nameOf: ((key: string) => string) | null) =>
  async ({ database, submitted, platform: { objects } }: Deployment): Promise<Undo> => {
    const { key } = await database.one<{ key: string }>(
      `select object_key as key from file_segments s join batches b on b.output_file_id = s.file_id
       where b.id = $1 and position = 0`,
      [submitted[0]!.id],
    );
    if (nameOf) {
      await objects.write(nameOf(key), 'no row refers to this\n');
      return () => objects.remove(nameOf(key));
    }
    const before = await objects.read(key);
    await objects.remove(key);
    return () => objects.write(key, before);
  };

export const violations: readonly Violation[] = [
  {
    description: 'a task ended without a terminal event',
    expectedCheck: '1, 5 every task',
    introduce: sql(
      `update events set terminal = false where subject like 'task_%' and terminal`,
      `update events set terminal = true where type = 'task.succeeded'`,
    ),
  },
  {
    description: 'an attempt at a task has no outcome',
    expectedCheck: '1 the last attempt of a task',
    introduce: sql(
      `update attempts set outcome = null where task_id is not null`,
      `update attempts set outcome = 'succeeded' where task_id is not null`,
    ),
  },
  {
    description: 'a record occurs twice',
    expectedCheck: '3 no custom_id occurs twice',
    introduce: rewrite((lines) => [...lines, lines[0]!]),
  },
  {
    description: 'a record is missing',
    expectedCheck: '1 each accepted line',
    introduce: rewrite((lines) => lines.slice(1)),
  },
  {
    description: 'a record has the answer of another line',
    expectedCheck: '1 each record has its own',
    introduce: rewrite(([first, second, ...rest]) => [swapped(first!, second!), second!, ...rest]),
  },
  {
    description: 'an object is truncated',
    expectedCheck: '3 output and error lines',
    introduce: async ({ database, submitted, platform: { objects } }) => {
      const { key } = await database.one<{ key: string }>(
        'select output_key as key from chunks where batch_id = $1 limit 1',
        [submitted[0]!.id],
      );
      const before = await objects.read(key);
      await objects.write(key, before.subarray(0, before.length - 40));
      return () => objects.write(key, before);
    },
  },
  {
    description: 'a counter is one too high',
    expectedCheck: '2 the counters',
    introduce: sql(
      'update batches set completed = completed + 1 where id = $1',
      'update batches set completed = completed - 1 where id = $1',
    ),
  },
  {
    description: 'a chunk was committed twice',
    expectedCheck: '2 each chunk was committed once',
    introduce: sql(
      `insert into attempts (workspace_id, batch_id, chunk, number, worker_id, provider, model, outcome, lines)
       select workspace_id, batch_id, chunk, 0, worker_id, provider, model, 'succeeded', lines
       from attempts where batch_id = $1 and chunk = 0 and number = 1`,
      'delete from attempts where number = 0 and batch_id = $1',
    ),
  },
  { description: 'an object is missing', expectedCheck: '4 every object', introduce: object(null) },
  {
    description: 'an unreferenced object of a successful attempt',
    expectedCheck: '4 unreferenced objects',
    introduce: object((key) => key.replace('.output.', '.error.')),
  },
  {
    description: 'an unreferenced object of no attempt',
    expectedCheck: '4 unreferenced objects',
    introduce: object((key) => `${key}.copy`),
  },
  {
    description: 'the terminal event has the wrong type',
    expectedCheck: '5 one terminal event',
    introduce: sql(
      `update events set type = 'batch.expired' where subject = $1 and terminal`,
      `update events set type = 'batch.completed' where subject = $1 and terminal`,
    ),
  },
  {
    description: 'the sequence of a subject has a gap',
    expectedCheck: '5 the sequence',
    introduce: sql(
      'update events set sequence = sequence + 1 where subject = $1 and terminal',
      'update events set sequence = sequence - 1 where subject = $1 and terminal',
    ),
  },
  {
    description: 'the positions of a feed have a gap',
    expectedCheck: '5 the positions of each feed',
    introduce: sql(
      'update events set feed_position = feed_position + 1 where subject = $1 and terminal',
      'update events set feed_position = feed_position - 1 where subject = $1 and terminal',
    ),
  },
  {
    description: 'the API key is in the queue',
    expectedCheck: '6 the queue holds ids and routes only',
    introduce: async ({ database, platform }) => {
      await database.rows(`insert into bullmq.meta (queue, field, value) values ('plan', 'chaos', $1)`, [
        platform.apiKey,
      ]);
      return async () => void (await database.rows(`delete from bullmq.meta where field = 'chaos'`));
    },
  },
  {
    description: 'the API key is in a table',
    expectedCheck: '6 no table',
    introduce: async ({ database, platform }) => {
      await database.rows(`update batches set metadata = jsonb_build_object('note', $1::text)`, [
        platform.apiKey,
      ]);
      return async () => void (await database.rows('update batches set metadata = null'));
    },
  },
  {
    description: 'a batch that was not submitted',
    expectedCheck: 'no batch exists',
    introduce: sql(
      `insert into batches (id, workspace_id, input_file_id, endpoint, kind, completion_window, status, expires_at)
       select 'batch_unknown', workspace_id, input_file_id, endpoint, kind, completion_window, 'failed', expires_at
       from batches where id = $1`,
      `delete from batches where id = 'batch_unknown'`,
    ),
  },
];

/** @returns the first record with the answer of the second. */
function swapped(first: string, second: string): string {
  const [to, from] = [JSON.parse(first), JSON.parse(second)] as { response: unknown }[];
  return JSON.stringify({ ...to, response: from!.response });
}
