/**
 * The input of a retry: the lines that another batch's error file names. Only chunks that have such lines are read,
 * one at a time: their records say which, their range of the input holds the lines as they were sent.
 */
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FailedChunk, FileStore, Plan, PlanStore, ResultStore, Segment } from '#database';
import { countLines, LineCounter, splitBufferLines, NotFound, Unavailable } from '#domain';
import { readSegments, type ObjectStore } from '#storage';

export interface CollectFailedLinesDeps {
  readonly plans: PlanStore;
  readonly files: FileStore;
  readonly results: ResultStore;
  readonly objects: ObjectStore;
  readonly lineMaxBytes: number;
}

/**
 * Writes the input that the batch was created with in name only.
 * @returns false once the plan is another's. @throws NotFound when the source's input or its results are gone.
 */
export async function collectFailedLines(
  plan: Plan,
  retryOf: string,
  deps: CollectFailedLinesDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const { workspaceId, inputFileId, attempt } = plan;
  const key = `${workspaceId}/files/${inputFileId}-${attempt}.jsonl`;
  const counter = new LineCounter();
  const lines = failedLines(workspaceId, await sourceOf(workspaceId, retryOf, deps), deps, signal);
  await deps.objects.put(key, countLines(lines, counter), { signal });
  const lineIndex = counter.end();
  const { bytes, lines: count } = counter;
  let isForgotten = true;
  try {
    isForgotten = !(await deps.plans.writeInput(plan, { key, bytes, lines: count, lineIndex }));
  } catch (error) {
    // Where Postgres went away while it was asked, the row may be there: its object must be too.
    isForgotten = !(error instanceof Unavailable);
    throw error;
  } finally {
    if (isForgotten) await deps.objects.delete([key]).catch(() => undefined);
  }
  return !isForgotten;
}

interface Source {
  readonly id: string;
  readonly input: readonly Segment[];
  readonly isCompressed: boolean;
}

async function sourceOf(
  workspaceId: string,
  id: string,
  { files, results }: CollectFailedLinesDeps,
): Promise<Source> {
  const source = await results.getRetrySource(workspaceId, id);
  if (source.errorFileId === null) throw new NotFound('No line of the batch that is retried failed.');
  await Promise.all([files.get(workspaceId, source.errorFileId), files.get(workspaceId, source.inputFileId)]);
  const input = await files.listSegments(workspaceId, source.inputFileId);
  return { id, input, isCompressed: source.outputFormat === 'jsonl.gz' };
}

const newline = Buffer.from('\n');

async function* failedLines(
  workspaceId: string,
  source: Source,
  deps: CollectFailedLinesDeps,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of deps.results.listFailedChunks(workspaceId, source.id)) {
    const wanted = await failedIds(chunk, source, deps.objects, signal);
    const { byteStart: start, byteLength, firstLine } = chunk;
    const range = await buffer(
      readSegments(deps.objects, source.input, { start, end: start + byteLength - 1, signal }),
    );
    const kept: Buffer[] = [];
    for (const { bytes } of splitBufferLines(range, { maxBytes: deps.lineMaxBytes, firstLine, start })) {
      if (bytes && wanted.has(idOf(bytes))) kept.push(bytes, newline);
    }
    yield Buffer.concat(kept);
  }
}

/** The error file's part of one chunk. */
async function failedIds(
  { errors }: FailedChunk,
  { isCompressed }: Source,
  objects: ObjectStore,
  signal: AbortSignal,
): Promise<Set<string>> {
  const stored = await buffer(readSegments(objects, [errors], { signal }));
  const records = isCompressed ? await promisify(gunzip)(stored) : stored;
  const ids = new Set<string>();
  for (const { bytes } of splitBufferLines(records, { maxBytes: Infinity })) if (bytes) ids.add(idOf(bytes));
  return ids;
}

const idOf = (line: Buffer) => (JSON.parse(line.toString('utf8')) as { custom_id: string }).custom_id;
