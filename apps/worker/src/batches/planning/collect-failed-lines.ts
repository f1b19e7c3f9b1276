/**
 * Builds the input of a retry: the lines that the source batch's error file names. Reads only chunks with such lines,
 * one at a time: their error records name the lines, and their range of the input has the lines as they were sent.
 */
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FailedChunk, FileStore, Plan, PlanStore, ResultStore, Segment } from '#database';
import { countLines, LineCounter, NotFound, splitBufferLines, Unavailable } from '#domain';
import { readSegments, type ObjectStorage } from '#storage';

export interface CollectFailedLinesDeps {
  readonly plans: PlanStore;
  readonly files: FileStore;
  readonly results: ResultStore;
  readonly objects: ObjectStorage;
  readonly lineMaxBytes: number;
}

/**
 * Writes the input file, which was created empty with the batch.
 * @returns false when another attempt has claimed the plan.
 * @throws NotFound when the source's input file or error file was deleted.
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
  const source = await openSource(workspaceId, retryOf, deps);
  const lines = readFailedLines(workspaceId, source, deps, signal);
  await deps.objects.put(key, countLines(lines, counter), { signal });
  const lineIndex = counter.end();
  const { bytes, lines: count } = counter;
  let isOrphaned = true;
  try {
    isOrphaned = !(await deps.plans.writeInput(plan, { key, bytes, lines: count, lineIndex }));
  } catch (error) {
    // When the database went away during the write, the row may exist: then its object must stay.
    isOrphaned = !(error instanceof Unavailable);
    throw error;
  } finally {
    if (isOrphaned) await deps.objects.delete([key]).catch(() => undefined);
  }
  return !isOrphaned;
}

interface SourceBatch {
  readonly id: string;
  readonly input: readonly Segment[];
  readonly isCompressed: boolean;
}

async function openSource(
  workspaceId: string,
  id: string,
  { files, results }: CollectFailedLinesDeps,
): Promise<SourceBatch> {
  const source = await results.getRetrySource(workspaceId, id);
  if (source.errorFileId === null) throw new NotFound('The batch to retry has no failed lines.');
  await Promise.all([files.get(workspaceId, source.errorFileId), files.get(workspaceId, source.inputFileId)]);
  const input = await files.listSegments(workspaceId, source.inputFileId);
  return { id, input, isCompressed: source.outputFormat === 'jsonl.gz' };
}

const newline = Buffer.from('\n');

async function* readFailedLines(
  workspaceId: string,
  source: SourceBatch,
  { results, objects, lineMaxBytes: maxBytes }: CollectFailedLinesDeps,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of results.listFailedChunks(workspaceId, source.id)) {
    const failedIds = await readFailedIds(chunk, source, objects, signal);
    const { byteStart: start, byteLength, firstLine } = chunk;
    const request = { start, end: start + byteLength - 1, signal };
    const range = await buffer(readSegments(objects, source.input, request));
    const failed: Buffer[] = [];
    for (const { bytes } of splitBufferLines(range, { maxBytes, firstLine, start })) {
      if (bytes && failedIds.has(parseCustomId(bytes))) failed.push(bytes, newline);
    }
    yield Buffer.concat(failed);
  }
}

/** @returns the custom ids in the error records of one chunk. */
async function readFailedIds(
  { errors }: FailedChunk,
  { isCompressed }: SourceBatch,
  objects: ObjectStorage,
  signal: AbortSignal,
): Promise<Set<string>> {
  const stored = await buffer(readSegments(objects, [errors], { signal }));
  const records = isCompressed ? await promisify(gunzip)(stored) : stored;
  const ids = new Set<string>();
  for (const { bytes } of splitBufferLines(records, { maxBytes: Infinity })) {
    if (bytes) ids.add(parseCustomId(bytes));
  }
  return ids;
}

const parseCustomId = (line: Buffer) =>
  (JSON.parse(line.toString('utf8')) as { custom_id: string }).custom_id;
