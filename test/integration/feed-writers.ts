/** Facts as the platform writes them: a sequence under the subject's row lock, in transactions of any length. */
import { newId, type Fact } from '@millrace/contracts';
import { appendFact, type Database, type FeedStore } from '#database';
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
    const [workspaceId, fileId] = [newId('workspace'), newId('file')];
    await database.rows('insert into workspaces (id, name) values ($1, $1)', [workspaceId]);
    await database.rows(
      `insert into files (id, workspace_id, purpose, filename, bytes, lines) values ($1, $2, 'batch', 'a.jsonl', 1, 1)`,
      [fileId, workspaceId],
    );
    for (let s = 0; s < each; s++) {
      const batchId = newId('batch');
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

/** Commits one fact; `holdMs` is how long its transaction stays open after the fact has its number. */
export function writeEvent(database: Database, { workspaceId, batchId }: Subject, holdMs = 0): Promise<void> {
  return database.withWorkspace(workspaceId, async (tx) => {
    const [[row]] = await tx.query(
      'update batches set sequence = sequence + 1 where id = $1 returning sequence',
      [batchId],
    );
    await appendFact(tx, {
      workspaceId,
      subject: batchId,
      sequence: row.sequence,
      type: 'batch.in_progress',
      terminal: false,
      data: { id: batchId },
    });
    if (holdMs > 0) await pause(holdMs);
  });
}

/**
 * 16 writers at once, each with its own pace: most transactions are short, some are held open while dozens of
 * later ones commit. @returns how many facts were committed.
 */
export async function writeOutOfOrder(
  database: Database,
  subjects: readonly Subject[],
  factsEach: number,
): Promise<number> {
  const write = async (writer: number) => {
    for (let n = 0; n < factsEach; n++) {
      const subject = subjects[(writer + n * 7) % subjects.length]!;
      const holdMs = n % 10 === writer % 10 ? 20 + Math.random() * 60 : Math.random() * 4;
      await writeEvent(database, subject, holdMs);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer)));
  return 16 * factsEach;
}

/** Follows every feed by position while `writing` goes on, and until `settled` says that nothing more will come. */
export async function readFeeds(
  feed: FeedStore,
  workspaceIds: readonly string[],
  settled: () => Promise<boolean>,
): Promise<Map<string, Fact[]>> {
  const read = new Map<string, Fact[]>(workspaceIds.map((id) => [id, []]));
  for (let last = false; ;) {
    let news = 0;
    for (const [workspaceId, facts] of read) {
      const page = await feed.listAfter(workspaceId, facts.at(-1)?.position ?? 0, 50);
      facts.push(...page);
      news += page.length;
    }
    if (last && news === 0) return read;
    if (news === 0) last = await settled();
    await pause(2);
  }
}
