/** Writers and readers of a feed. An event takes its sequence under its subject's row lock, in a transaction of any length. */
import { createId, type EventObject } from '@millrace/contracts';
import { appendEvent, type Database, type FeedStore } from '#database';
import { pause } from '../support/eventually.ts';

export interface Subject {
  readonly workspaceId: string;
  readonly batchId: string;
}

export async function createSubjects(
  database: Database,
  workspaces: number,
  each: number,
): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (let w = 0; w < workspaces; w++) {
    const [workspaceId, fileId] = [createId('workspace'), createId('file')];
    await database.rows('insert into workspaces (id, name) values ($1, $1)', [workspaceId]);
    await database.rows(
      `insert into files (id, workspace_id, purpose, filename, bytes, lines) values ($1, $2, 'batch', 'a.jsonl', 1, 1)`,
      [fileId, workspaceId],
    );
    for (let s = 0; s < each; s++) {
      const batchId = createId('batch');
      await database.rows(
        `insert into batches (id, workspace_id, input_file_id, endpoint, kind, completion_window, expires_at)
         values ($1, $2, $3, '/v1/embeddings', 'embeddings', '24h', now())`,
        [batchId, workspaceId, fileId],
      );
      subjects.push({ workspaceId, batchId });
    }
  }
  return subjects;
}

/** Commits one event. @param holdMs how long its transaction stays open after the event has its number. */
export function writeEvent(database: Database, { workspaceId, batchId }: Subject, holdMs = 0): Promise<void> {
  return database.withWorkspace(workspaceId, async (transaction) => {
    const [row] = await transaction.rows<{ sequence: number }>(
      'update batches set sequence = sequence + 1 where id = $1 returning sequence',
      [batchId],
    );
    await appendEvent(transaction, {
      workspaceId,
      subject: batchId,
      sequence: row!.sequence,
      type: 'batch.in_progress',
      terminal: false,
      data: { id: batchId },
    });
    if (holdMs > 0) await pause(holdMs);
  });
}

/**
 * Runs 16 writers at once, each at its own pace: most transactions are short, some stay open while dozens of later ones
 * commit. @returns the number of committed events.
 */
export async function writeOutOfOrder(
  database: Database,
  subjects: readonly Subject[],
  eventsEach: number,
): Promise<number> {
  const write = async (writer: number) => {
    for (let n = 0; n < eventsEach; n++) {
      const subject = subjects[(writer + n * 7) % subjects.length]!;
      const holdMs = n % 10 === writer % 10 ? 20 + Math.random() * 60 : Math.random() * 4;
      await writeEvent(database, subject, holdMs);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer)));
  return 16 * eventsEach;
}

/** Reads every feed by position until it has no new events and `isSettled` resolves to true. */
export async function readFeeds(
  feed: FeedStore,
  workspaceIds: readonly string[],
  isSettled: () => Promise<boolean>,
): Promise<Map<string, EventObject[]>> {
  const read = new Map<string, EventObject[]>(workspaceIds.map((id) => [id, []]));
  for (let last = false; ;) {
    let newEvents = 0;
    for (const [workspaceId, events] of read) {
      const page = await feed.listAfter(workspaceId, events.at(-1)?.position ?? 0, 50);
      events.push(...page);
      newEvents += page.length;
    }
    if (last && newEvents === 0) return read;
    if (newEvents === 0) last = await isSettled();
    await pause(2);
  }
}
