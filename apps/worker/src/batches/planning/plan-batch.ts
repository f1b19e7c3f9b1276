/**
 * Plans a batch: reads and checks every line of the stored input file once. Either all lines are accepted and their
 * chunks become visible together, or the batch fails with the list of invalid lines.
 */
import { buffer } from 'node:stream/consumers';
import { kinds, type KindId } from '#catalogue';
import type { AcceptedPlan, Plan } from '#database';
import { checkInput, computeChunkLines, NotFound, rejectFile, type InputFile } from '#domain';
import type { Providers } from '#providers';
import type { Bus } from '#realtime';
import { readSegments, SegmentDamaged } from '#storage';
import type { Logger } from '#telemetry';
import type { BatchError } from '@millrace/contracts';
import { ChunkCutter } from './chunk-cutter.ts';
import { collectFailedLines, type CollectFailedLinesDeps } from './collect-failed-lines.ts';

export interface PlanBatchDeps extends CollectFailedLinesDeps {
  readonly workerId: string;
  readonly bus: Bus;
  readonly route: Providers['route'];
  readonly batchMaxLines: number;
}

export interface PlanJob {
  readonly batchId: string;
  readonly generation: number;
}

/** Number of chunk rows per insert. */
const pageSize = 500;

export async function planBatch(
  job: PlanJob,
  deps: PlanBatchDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const { plans, bus } = deps;
  const plan = await plans.claim(job.batchId, job.generation);
  if (!plan) return;
  const outcome = await readAndCut(plan, deps, signal).catch((error: unknown) =>
    rejectUnreadable(error, plan),
  );
  if (!outcome) return; // Another attempt has claimed the plan, or the batch was cancelled.
  const { errors, accepted } = outcome;
  const isRecorded = accepted ? await plans.accept(plan, accepted) : await plans.reject(plan, errors);
  if (!isRecorded) return;
  log.info({ lines: accepted?.total, chunks: accepted?.chunkCount, errors: errors.length }, 'batch planned');
  bus.publishUpdate('batch', { batchId: plan.batchId });
  void bus.publish('batch.planned', { batchId: plan.batchId });
  void bus.publish('events.committed', {});
}

/** Either the accepted plan, or the errors of the input. */
interface PlanOutcome {
  readonly accepted: AcceptedPlan | null;
  readonly errors: readonly BatchError[];
}

/** A changed segment must be read this often before it counts as damaged in the storage and not on the way here. */
const maxReads = 3;

/** Rejects the batch when reading again can't help. @throws other errors: the reconcile job then plans again. */
function rejectUnreadable(error: unknown, { attempt, retryOf }: Plan): PlanOutcome {
  if (error instanceof SegmentDamaged) {
    const isLengthRight = error.foundBytes === error.expectedBytes;
    if (isLengthRight && attempt < maxReads) throw error;
    const { errors } = rejectFile('input_file_damaged', 'The stored input file is damaged. Upload it again.');
    return { accepted: null, errors };
  }
  if (error instanceof NotFound) {
    const message = retryOf
      ? "The retried batch's input file or error file was deleted."
      : 'The input file was deleted. Upload it again.';
    const { errors } = rejectFile('input_file_missing', message);
    return { accepted: null, errors };
  }
  throw error;
}

/** @returns null when another attempt has claimed the plan. */
async function readAndCut(plan: Plan, deps: PlanBatchDeps, signal: AbortSignal): Promise<PlanOutcome | null> {
  const lines = await prepareInput(plan, deps, signal);
  if (lines === null) return null;
  const file = await openInputFile(plan, lines, deps, signal);
  const kindId = plan.kind as KindId;
  const { estimateAnswerBytes } = kinds[kindId];
  let cutter = null as ChunkCutter | null;
  const rules = {
    endpoint: plan.endpoint,
    lineMaxBytes: deps.lineMaxBytes,
    maxLines: deps.batchMaxLines,
    route(model: string) {
      const { provider } = deps.route(model, kindId, plan);
      return { provider: provider.id, pool: provider.pool };
    },
  };
  const result = await checkInput(file, rules, {
    async onModel(model) {
      cutter = await createCutter(kindId, file.lines, model, deps);
    },
    onLine: (line, request) => cutter!.add(line, estimateAnswerBytes(request.body)),
    shouldContinue: async () =>
      !cutter || cutter.readyCount < pageSize || deps.plans.addChunks(plan, cutter.take()),
  });
  if (!result?.accepted) return result;
  const last = cutter!.end();
  if (last.length > 0 && !(await deps.plans.addChunks(plan, last))) return null;
  return { accepted: { ...result.accepted, chunkCount: cutter!.count }, errors: [] };
}

/**
 * Writes the input file of a retry, which is created empty. @returns the number of lines in the input file, or null when
 * another attempt has claimed the plan.
 */
async function prepareInput(plan: Plan, deps: PlanBatchDeps, signal: AbortSignal): Promise<number | null> {
  const { workspaceId, inputFileId, retryOf } = plan;
  const { status, lines } = await deps.files.get(workspaceId, inputFileId);
  if (status === 'processed') return lines;
  if (status === 'error' || retryOf === null) throw new NotFound('The input file was never written.');
  if (!(await collectFailedLines(plan, retryOf, deps, signal))) return null;
  return (await deps.files.get(workspaceId, inputFileId)).lines;
}

async function createCutter(
  kindId: KindId,
  lines: number,
  model: string,
  { plans }: PlanBatchDeps,
): Promise<ChunkCutter> {
  const { chunk: limits } = kinds[kindId];
  const linesPerSecond = await plans.getLinesPerSecond(model);
  return new ChunkCutter({ ...limits, maxLines: computeChunkLines(lines, limits, linesPerSecond) });
}

async function openInputFile(
  { workspaceId, inputFileId }: Plan,
  lines: number,
  { files, objects }: PlanBatchDeps,
  signal: AbortSignal,
): Promise<InputFile> {
  const [segments, lineIndex] = await Promise.all([
    files.listSegments(workspaceId, inputFileId),
    files.getLineIndex(workspaceId, inputFileId),
  ]);
  return {
    lines,
    lineIndex,
    head: () => buffer(readSegments(objects, segments, { start: 0, end: 3, signal })),
    read: (start) => readSegments(objects, segments, { start, signal }) as AsyncIterable<Buffer>,
  };
}
