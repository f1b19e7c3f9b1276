/**
 * What a chunk has paid for is kept while its other lines still run: a worker that dies pays again for the lines in
 * flight and for no others. Lines that are finished while one checkpoint is written go into the next, as in a group
 * commit: none waits for a clock longer than `pauseMs`, however long the store takes, and the last ones for none.
 *
 * Checkpoints are no segments: when its last line is done, the chunk's output is one object as ever, made from what is
 * in memory, and they are deleted. So a file has as few segments as before, and reading it needs to know nothing here.
 */
import { channel } from 'node:diagnostics_channel';
import { setTimeout as wait } from 'node:timers/promises';
import type { CheckpointStore, ClaimedChunk } from '#database';
import { computeBackoffMs } from '#domain';
import { SegmentDamaged, type ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import type { FinishedLine, LineRecords } from './line-records.ts';

export interface CheckpointDeps {
  readonly checkpoints: CheckpointStore;
  readonly objects: Pick<ObjectStore, 'put' | 'read' | 'delete'>;
  readonly log: Logger;
}

/** Another attempt holds the chunk: whatever is paid for from here on is paid for twice. */
export class AttemptSuperseded extends Error {}

/** Between two checkpoints of a chunk at least: a put costs a hundredth of what such a line does. */
const pauseMs = 250;
const retry = { baseMs: 500, maxMs: 5_000 };

/** Where fault runs watch what is kept, by the numbers of the lines. */
const kept = channel('millrace:lines.kept');

export class Checkpoints {
  private waiting: string[] = [];
  private lines: number[] = [];
  private saved = 0;
  private saving: Promise<void> | null = null;
  private failing: Promise<void> | null = null;
  private readonly lost = new AbortController();
  private readonly closing = new AbortController();

  constructor(
    private readonly chunk: ClaimedChunk,
    private readonly deps: CheckpointDeps,
    private readonly signal: AbortSignal,
  ) {}

  /** Aborted, with `TakenOver`, when another attempt has the chunk. */
  get superseded(): AbortSignal {
    return this.lost.signal;
  }

  /** Takes over what earlier attempts have kept. What can't be read any more is paid for again. */
  async restore(records: LineRecords, lines: Iterable<{ readonly number: number }>): Promise<void> {
    const objects = await this.deps.checkpoints.list(this.chunk);
    if (objects.length === 0) return;
    const own = new Set<number>();
    for (const { number } of lines) own.add(number);
    let restored = 0;
    for (const { key, bytes } of objects) {
      try {
        for (const finished of parse(await this.deps.objects.read(key, { expectedBytes: bytes }))) {
          // A half of a chunk finds the whole one's.
          if (own.has(finished.line)) restored += Number(records.restore(finished));
        }
      } catch (error) {
        if (!(error instanceof SegmentDamaged)) throw error;
        this.deps.log.error({ err: error }, 'a checkpoint is damaged; its lines are run again');
      }
    }
    this.deps.log.info(
      { restored, lines: own.size },
      'took over the lines that an earlier attempt had finished',
    );
  }

  /** To be called with each line as it is finished. */
  readonly add = (finished: FinishedLine): void => {
    this.waiting.push(format(finished));
    this.lines.push(finished.line);
    this.begin();
  };

  /** Resolves once what is paid for can be kept: at once, unless the store or the database is away. */
  waitUntilWritable(): Promise<void> | null {
    return this.failing;
  }

  /** Resolves when all that was taken is kept, or can't be any more. To be called when no more lines come. */
  async close(): Promise<void> {
    this.closing.abort();
    while (this.saving) await this.saving;
  }

  private begin(): void {
    this.saving ??= this.save().finally(() => {
      this.saving = null;
      // What came in the moment of its end.
      if (this.waiting.length > 0 && !this.lost.signal.aborted) this.begin();
    });
  }

  private async save(): Promise<void> {
    while (this.waiting.length > 0 && !this.lost.signal.aborted) {
      const bytes = Buffer.from(this.waiting.join(''));
      const lines = this.lines;
      this.waiting = [];
      this.lines = [];
      await this.write(bytes);
      if (kept.hasSubscribers && !this.lost.signal.aborted) kept.publish(lines);
      if (this.waiting.length === 0) return;
      await wait(pauseMs, undefined, { signal: this.closing.signal }).catch(() => undefined);
    }
  }

  private async write(bytes: Buffer): Promise<void> {
    const { workspaceId, batchId, index, attempt } = this.chunk;
    const key = `${workspaceId}/batches/${batchId}/${index}-${attempt}.checkpoint-${++this.saved}.jsonl`;
    let recovered: (() => void) | null = null;
    for (let failed = 0; ;) {
      try {
        const object = await this.deps.objects.put(key, bytes);
        if (!(await this.deps.checkpoints.save(this.chunk, object))) {
          this.lost.abort(new AttemptSuperseded());
          await this.deps.objects.delete([key]).catch(() => undefined);
        }
        break;
      } catch (error) {
        if (failed === 0)
          this.deps.log.warn({ err: error }, 'finished lines could not be kept; no more are begun');
        if (++failed > 1 && this.signal.aborted) break;
        if (!recovered) this.failing = new Promise((resolve) => (recovered = resolve));
        const pause = computeBackoffMs(retry, failed, Math.random());
        await wait(pause, undefined, { signal: this.signal }).catch(() => undefined);
      }
    }
    this.failing = null;
    (recovered as (() => void) | null)?.();
  }
}

/** Two lines each: what the sums need, and the record itself. What is not known is no number. */
function format({ line, ok, record, ...usage }: FinishedLine): string {
  const { inputTokens, outputTokens, images = '-', seconds = '-', cost = '-' } = usage;
  return `${line} ${ok ? 1 : 0} ${inputTokens} ${outputTokens} ${images} ${seconds} ${cost}\n${record}`;
}

function* parse(bytes: Buffer): Generator<FinishedLine> {
  for (let at = 0; at < bytes.length;) {
    const head = bytes.indexOf(10, at);
    const end = bytes.indexOf(10, head + 1) + 1;
    const numbers = bytes.toString('latin1', at, head).split(' ').map(Number);
    const [line, ok, inputTokens, outputTokens, images = NaN, seconds = NaN, cost = NaN] = numbers;
    yield {
      line: line!,
      ok: ok === 1,
      inputTokens: inputTokens!,
      outputTokens: outputTokens!,
      ...(images >= 0 && { images }),
      ...(seconds >= 0 && { seconds }),
      ...(cost >= 0 && { cost }),
      record: bytes.toString('utf8', head + 1, end),
    };
    at = end;
  }
}
