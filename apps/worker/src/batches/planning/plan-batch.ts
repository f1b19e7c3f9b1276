/**
 * From a stored file to chunks: every line is read once and checked, and either all of them are accepted, cut
 * into chunks and shown together, or the batch fails with the lines that are wrong.
 */
import { buffer } from 'node:stream/consumers';
import type { BatchError } from '@millrace/contracts';
import type { AcceptedPlan, Plan } from '#database';
import { kinds, type KindId } from '#catalogue';
import { checkInput, computeChunkLines, NotFound, rejectFile, type InputFile } from '#domain';
import type { Route } from '#providers';
import type { Bus } from '#realtime';
import { readSegments, SegmentDamaged } from '#storage';
import type { Logger } from '#telemetry';
import { ChunkCutter } from './chunk-cutter.ts';
import { collectFailedLines, type CollectFailedLinesDeps } from './collect-failed-lines.ts';

export interface PlanBatchDeps extends CollectFailedLinesDeps {
  readonly workerId: string;
  readonly bus: Bus;
  readonly route: (model: string, kind: KindId) => Route;
  readonly batchMaxLines: number;
}

export interface PlanJob {
  readonly batchId: string;
  readonly generation: number;
}

/** Chunk rows are written so many at a time. */
const page = 500;

export async function planBatch(
  job: PlanJob,
  deps: PlanBatchDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const plan = await deps.plans.claim(job.batchId, job.generation);
  if (!plan) return;
  const outcome = await readAll(plan, deps, signal).catch((error: unknown) => damaged(error, plan));
  if (!outcome) return; // Taken over, or cancelled.
  const { errors, accepted } = outcome;
  const ended = accepted ? await deps.plans.accept(plan, accepted) : await deps.plans.reject(plan, errors);
  if (!ended) return;
  log.info({ lines: accepted?.total, chunks: accepted?.chunkCount, errors: errors.length }, 'batch planned');
  deps.bus.publishUpdate('batch', { batchId: plan.batchId });
  void deps.bus.publish('batch.planned', { batchId: plan.batchId });
  void deps.bus.publish('facts.written', {});
}

/** Either a plan that was accepted, or the errors that stand against it. */
interface Outcome {
  readonly accepted: AcceptedPlan | null;
  readonly errors: readonly BatchError[];
}

/** Attempts until bytes that are not what was stored are believed to lie so in the store. */
const mostReadings = 3;

/** What reading again can't mend fails the batch; all else is tried again by the sweep. */
function damaged(error: unknown, { attempt, retryOf }: Plan): Outcome {
  if (error instanceof SegmentDamaged) {
    // Other bytes than were stored may have become so on their way here.
    if (error.foundBytes === error.expectedBytes && attempt < mostReadings) throw error;
    const { errors } = rejectFile('input_file_damaged', 'The stored input file is damaged. Upload it again.');
    return { accepted: null, errors };
  }
  if (error instanceof NotFound) {
    const message = retryOf
      ? 'The input file, or what it was to be made of, is gone: that of the batch retried, or its error file.'
      : 'The input file is gone. Upload it again.';
    const { errors } = rejectFile('input_file_missing', message);
    return { accepted: null, errors };
  }
  throw error;
}

/** @returns null once the plan is another's. */
async function readAll(plan: Plan, deps: PlanBatchDeps, signal: AbortSignal): Promise<Outcome | null> {
  const lines = await linesToRead(plan, deps, signal);
  if (lines === null) return null;
  const file = await fileOf(plan, lines, deps, signal);
  const { answerBytes } = kinds[plan.kind as KindId];
  let cutter = null as ChunkCutter | null;
  const rules = {
    endpoint: plan.endpoint,
    lineMaxBytes: deps.lineMaxBytes,
    maxLines: deps.batchMaxLines,
    route(model: string) {
      const { provider } = deps.route(model, plan.kind as KindId);
      return { provider: provider.id, pool: provider.pool };
    },
  };
  const verdict = await checkInput(file, rules, {
    async onModel(model) {
      cutter = await cutterFor(plan, file, model, deps);
    },
    onLine: (line, request) => cutter!.add(line, answerBytes(request.body)),
    shouldContinue: async () =>
      !cutter || cutter.readyCount < page || deps.plans.addChunks(plan, cutter.take()),
  });
  if (!verdict?.accepted) return verdict;
  const last = cutter!.end();
  if (last.length > 0 && !(await deps.plans.addChunks(plan, last))) return null;
  return { accepted: { ...verdict.accepted, chunkCount: cutter!.count }, errors: [] };
}

/** The input of a retry is yet to be read together. @returns null once the plan is another's. */
async function linesToRead(plan: Plan, deps: PlanBatchDeps, signal: AbortSignal): Promise<number | null> {
  const { workspaceId, inputFileId, retryOf } = plan;
  const { status, lines } = await deps.files.get(workspaceId, inputFileId);
  if (status === 'processed') return lines;
  if (status === 'error' || retryOf === null) throw new NotFound('The input file was never written.');
  if (!(await collectFailedLines(plan, retryOf, deps, signal))) return null;
  return (await deps.files.get(workspaceId, inputFileId)).lines;
}

async function cutterFor(
  { kind }: Plan,
  { lines }: InputFile,
  model: string,
  deps: PlanBatchDeps,
): Promise<ChunkCutter> {
  const { chunk: limits } = kinds[kind as KindId];
  const linesPerSecond = await deps.plans.getLinesPerSecond(model);
  return new ChunkCutter({ ...limits, maxLines: computeChunkLines(lines, limits, linesPerSecond) });
}

async function fileOf(
  { workspaceId, inputFileId }: Plan,
  lines: number,
  deps: PlanBatchDeps,
  signal: AbortSignal,
): Promise<InputFile> {
  const [segments, lineIndex] = await Promise.all([
    deps.files.listSegments(workspaceId, inputFileId),
    deps.files.getLineIndex(workspaceId, inputFileId),
  ]);
  return {
    lines,
    lineIndex,
    head: () => buffer(readSegments(deps.objects, segments, { start: 0, end: 3, signal })),
    read: (start) => readSegments(deps.objects, segments, { start, signal }) as AsyncIterable<Buffer>,
  };
}
