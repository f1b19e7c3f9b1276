/** Ways to break each invariant by hand, one at a time and undone after, so that the checker can be seen to notice. */
import type { Deployment } from './deployment.ts';

type Undo = () => Promise<void>;

export interface Violation {
  readonly what: string;
  /** How the name of the check begins that must find it. */
  readonly breaks: string;
  readonly act: (deployment: Deployment) => Promise<Undo>;
}

/** A statement and the one that takes it back. */
const sql =
  (act: string, undo: string) =>
  async ({ database, submitted }: Deployment): Promise<Undo> => {
    const bound = (text: string) => (text.includes('$1') ? [submitted[0]!.id] : []);
    await database.rows(act, bound(act));
    return async () => void (await database.rows(undo, bound(undo)));
  };

/** Rewrites the first segment of the output file, its rows told of the new size. */
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

/** Adds an object, or with null takes the first one of the output away. */
const object =
  (nameOf: ((key: string) => string) | null) =>
  async ({ database, submitted, platform: { objects } }: Deployment): Promise<Undo> => {
    const { key } = await database.one<{ key: string }>(
      `select object_key as key from file_segments s join batches b on b.output_file_id = s.file_id
       where b.id = $1 and position = 0`,
      [submitted[0]!.id],
    );
    if (nameOf) {
      await objects.write(nameOf(key), 'nobody refers to this\n');
      return () => objects.remove(nameOf(key));
    }
    const before = await objects.read(key);
    await objects.remove(key);
    return () => objects.write(key, before);
  };

export const violations: readonly Violation[] = [
  {
    what: 'a task ended and nobody was told',
    breaks: '1, 5 every task',
    act: sql(
      `update events set terminal = false where subject like 'task_%' and terminal`,
      `update events set terminal = true where type = 'task.succeeded'`,
    ),
  },
  {
    what: 'an attempt at a task was left open',
    breaks: '1 the attempt that counts',
    act: sql(
      `update attempts set outcome = null where task_id is not null`,
      `update attempts set outcome = 'succeeded' where task_id is not null`,
    ),
  },
  {
    what: 'a record stands twice',
    breaks: '3 no custom_id twice',
    act: rewrite((lines) => [...lines, lines[0]!]),
  },
  { what: 'a record is gone', breaks: '1 each accepted line', act: rewrite((lines) => lines.slice(1)) },
  {
    what: 'a record is another line’s answer',
    breaks: '1 each record is its own',
    act: rewrite(([first, second, ...rest]) => [swapped(first!, second!), second!, ...rest]),
  },
  {
    what: 'an object is cut short',
    breaks: '3 output + error lines',
    act: async ({ database, submitted, platform: { objects } }) => {
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
    what: 'a counter is one too high',
    breaks: '2 the counters',
    act: sql(
      'update batches set completed = completed + 1 where id = $1',
      'update batches set completed = completed - 1 where id = $1',
    ),
  },
  {
    what: 'a chunk was committed twice',
    breaks: '2 each chunk was committed once',
    act: sql(
      `insert into attempts (workspace_id, batch_id, chunk, number, worker_id, provider, model, outcome, lines)
       select workspace_id, batch_id, chunk, 0, worker_id, provider, model, 'succeeded', lines
       from attempts where batch_id = $1 and chunk = 0 and number = 1`,
      'delete from attempts where number = 0 and batch_id = $1',
    ),
  },
  { what: 'an object is missing', breaks: '4 every object', act: object(null) },
  {
    what: 'an object of a winning attempt that no row refers to',
    breaks: '4 objects that nothing refers to',
    act: object((key) => key.replace('.output.', '.error.')),
  },
  {
    what: 'an object of nobody’s',
    breaks: '4 objects that nothing refers to',
    act: object((key) => `${key}.copy`),
  },
  {
    what: 'the end was told under another name',
    breaks: '5 one terminal event',
    act: sql(
      `update events set type = 'batch.expired' where subject = $1 and terminal`,
      `update events set type = 'batch.completed' where subject = $1 and terminal`,
    ),
  },
  {
    what: 'a fact is missing from its subject’s sequence',
    breaks: '5 the sequence',
    act: sql(
      'update events set sequence = sequence + 1 where subject = $1 and terminal',
      'update events set sequence = sequence - 1 where subject = $1 and terminal',
    ),
  },
  {
    what: 'a position of the feed was skipped',
    breaks: '5 the feed',
    act: sql(
      'update events set feed_position = feed_position + 1 where subject = $1 and terminal',
      'update events set feed_position = feed_position - 1 where subject = $1 and terminal',
    ),
  },
  {
    what: 'the API key lies in the queue',
    breaks: '6 the queue carries ids only',
    act: async ({ database, platform }) => {
      await database.rows(`insert into bullmq.meta (queue, field, value) values ('plan', 'chaos', $1)`, [
        platform.apiKey,
      ]);
      return async () => void (await database.rows(`delete from bullmq.meta where field = 'chaos'`));
    },
  },
  {
    what: 'the API key lies in a table',
    breaks: '6 no table',
    act: async ({ database, platform }) => {
      await database.rows(`update batches set metadata = jsonb_build_object('note', $1::text)`, [
        platform.apiKey,
      ]);
      return async () => void (await database.rows('update batches set metadata = null'));
    },
  },
  {
    what: 'a batch that nobody submitted',
    breaks: 'no batch but those',
    act: sql(
      `insert into batches (id, workspace_id, input_file_id, endpoint, kind, completion_window, status, expires_at)
       select 'batch_unknown', workspace_id, input_file_id, endpoint, kind, completion_window, 'failed', expires_at
       from batches where id = $1`,
      `delete from batches where id = 'batch_unknown'`,
    ),
  },
];

/** The first record with the second one's answer. */
function swapped(first: string, second: string): string {
  const [to, from] = [JSON.parse(first), JSON.parse(second)] as { response: unknown }[];
  return JSON.stringify({ ...to, response: from!.response });
}
