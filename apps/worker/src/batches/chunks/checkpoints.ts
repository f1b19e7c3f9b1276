/**
 * Stores billed lines as they finish, while the other lines of the chunk still run: after a crash, only the lines in
 * flight are paid for again. Lines that finish while a checkpoint is written go into the next one (group commit). A
 * line waits at most `pauseMs` plus the time of the write before, and the last lines don't wait.
 *
 * Checkpoints are not segments. The output of a finished chunk is still one object, built from memory, and its
 * checkpoints are deleted. Readers of results therefore know nothing of checkpoints.
 */
import { channel } from 'node:diagnostics_channel';
import { sleepOrAbort } from '#async';
import type { CheckpointStore, ClaimedChunk } from '#database';
import { computeBackoffMs } from '#domain';
import { SegmentDamaged, type ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { formatFinishedLine, parseFinishedLines } from './checkpoint-format.ts';
import type { FinishedLine, LineRecords } from './line-records.ts';

export interface CheckpointDeps {
  readonly checkpoints: CheckpointStore;
  readonly objects: Pick<ObjectStorage, 'put' | 'read' | 'delete'>;
  readonly log: Logger;
}

/** Another attempt has claimed the chunk. Every further call would be paid for twice. */
export class AttemptSuperseded extends Error {}

/** Minimum pause between two checkpoints of a chunk. A put costs about a hundredth of the lines it stores. */
const pauseMs = 250;
const backoff = { baseMs: 500, maxMs: 5_000 };

/** Publishes the numbers of stored lines. Fault tests subscribe to it. */
const checkpointedLines = channel('millrace:lines.checkpointed');

export class Checkpoints {
  private pendingRecords: string[] = [];
  private pendingLines: number[] = [];
  private objectCount = 0;
  private saving: Promise<void> | null = null;
  private outage: Promise<void> | null = null;
  private readonly supersededBy = new AbortController();
  private readonly closing = new AbortController();

  constructor(
    private readonly chunk: ClaimedChunk,
    private readonly deps: CheckpointDeps,
    private readonly signal: AbortSignal,
  ) {}

  /** Aborted with `AttemptSuperseded` when another attempt has claimed the chunk. */
  get superseded(): AbortSignal {
    return this.supersededBy.signal;
  }

  /** Adds the lines that earlier attempts finished to `records`. Lines of a damaged checkpoint run again. */
  async restore(records: LineRecords, lines: Iterable<{ readonly number: number }>): Promise<void> {
    const objects = await this.deps.checkpoints.list(this.chunk);
    if (objects.length === 0) return;
    const own = new Set<number>();
    for (const { number } of lines) own.add(number);
    let restored = 0;
    for (const { key, bytes } of objects) {
      try {
        const stored = await this.deps.objects.read(key, { expectedBytes: bytes });
        for (const finished of parseFinishedLines(stored)) {
          // After a split, both parts read the checkpoints of the whole chunk.
          if (own.has(finished.line)) restored += Number(records.restore(finished));
        }
      } catch (error) {
        if (!(error instanceof SegmentDamaged)) throw error;
        this.deps.log.error({ err: error }, 'a checkpoint is damaged, so its lines run again');
      }
    }
    this.deps.log.info({ restored, lines: own.size }, 'restored lines that an earlier attempt finished');
  }

  /** Call with each line as it finishes. */
  readonly add = (finished: FinishedLine): void => {
    this.pendingRecords.push(formatFinishedLine(finished));
    this.pendingLines.push(finished.line);
    this.startSaving();
  };

  /** @returns null when lines can be stored, otherwise a promise that resolves when storage and database are back. */
  waitUntilWritable(): Promise<void> | null {
    return this.outage;
  }

  /** Call after the last `add`. Resolves when all added lines are stored, or can't be stored any more. */
  async close(): Promise<void> {
    this.closing.abort();
    while (this.saving) await this.saving;
  }

  private startSaving(): void {
    this.saving ??= this.save().finally(() => {
      this.saving = null;
      // A line may have been added after the last check in `save`.
      if (this.pendingRecords.length > 0 && !this.superseded.aborted) this.startSaving();
    });
  }

  private async save(): Promise<void> {
    while (this.pendingRecords.length > 0 && !this.superseded.aborted) {
      const bytes = Buffer.from(this.pendingRecords.join(''));
      const lines = this.pendingLines;
      this.pendingRecords = [];
      this.pendingLines = [];
      await this.write(bytes);
      if (checkpointedLines.hasSubscribers && !this.superseded.aborted) checkpointedLines.publish(lines);
      if (this.pendingRecords.length === 0) return;
      await sleepOrAbort(pauseMs, this.closing.signal);
    }
  }

  /** Writes one checkpoint. Retries until it succeeds; after `signal` is aborted, it gives up on the next failure. */
  private async write(bytes: Buffer): Promise<void> {
    const { workspaceId, batchId, index, attempt } = this.chunk;
    const key = `${workspaceId}/batches/${batchId}/${index}-${attempt}.checkpoint-${++this.objectCount}.jsonl`;
    let endOutage: (() => void) | null = null;
    for (let failures = 0; ;) {
      try {
        await this.writeOnce(key, bytes);
        break;
      } catch (error) {
        if (failures === 0)
          this.deps.log.warn(
            { err: error },
            'could not store finished lines, no calls are started until it works',
          );
        if (++failures > 1 && this.signal.aborted) break;
        if (!endOutage) this.outage = new Promise((resolve) => (endOutage = resolve));
        const backoffMs = computeBackoffMs(backoff, failures, Math.random());
        await sleepOrAbort(backoffMs, this.signal);
      }
    }
    this.outage = null;
    (endOutage as (() => void) | null)?.();
  }

  private async writeOnce(key: string, bytes: Buffer): Promise<void> {
    const { checkpoints, objects } = this.deps;
    const object = await objects.put(key, bytes);
    if (await checkpoints.save(this.chunk, object)) return;
    this.supersededBy.abort(new AttemptSuperseded());
    await objects.delete([key]).catch(() => undefined);
  }
}
