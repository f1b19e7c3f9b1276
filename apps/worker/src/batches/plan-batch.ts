/**
 * From a stored file to chunks: every line is read once and checked, and either all of them are accepted, cut
 * into chunks and shown together, or the batch fails with the lines that are wrong.
 */
import { buffer } from 'node:stream/consumers';
import type { BatchError } from '#contracts';
import type { AcceptedPlan, Plan } from '#database';
import { kinds, type KindId } from '#catalogue';
import { checkInput, chunkLines, NotFound, wrongFile, type InputFile } from '#domain';
import type { Route } from '#providers';
import type { Bus } from '#realtime';
import { readSegments, SegmentDamaged } from '#storage';
import type { Logger } from '#telemetry';
import { ChunkCutter } from './chunk-cutter.ts';
import { collectFailedLines, type FailedLines } from './collect-failed-lines.ts';

export interface Planner extends FailedLines {
  readonly workerId: string;
  readonly bus: Bus;
  readonly route: (model: string, kind: KindId) => Route;
  readonly batchMaxLines: number;
}

export interface PlanJob {
  readonly batchId: string;
  readonly delivery: number;
}

/** Chunk rows are written so many at a time. */
const page = 500;

export async function planBatch(job: PlanJob, on: Planner, signal: AbortSignal, log: Logger): Promise<void> {
  const plan = await on.plans.claim(job.batchId, job.delivery);
  if (!plan) return;
  const outcome = await readAll(plan, on, signal).catch((error: unknown) => damaged(error, plan));
  if (!outcome) return; // Taken over, or cancelled.
  const { errors, accepted } = outcome;
  const ended = accepted ? await on.plans.accept(plan, accepted) : await on.plans.reject(plan, errors);
  if (!ended) return;
  log.info({ lines: accepted?.total, chunks: accepted?.chunkCount, errors: errors.length }, 'batch planned');
  on.bus.signal('batch', { batchId: plan.batchId });
  void on.bus.announce('batch.planned', { batchId: plan.batchId });
  void on.bus.announce('facts.written', {});
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
    const { errors } = wrongFile('input_file_damaged', 'The stored input file is damaged. Upload it again.');
    return { accepted: null, errors };
  }
  if (error instanceof NotFound) {
    const message = retryOf
      ? 'The input file, or what it was to be made of, is gone: that of the batch retried, or its error file.'
      : 'The input file is gone. Upload it again.';
    const { errors } = wrongFile('input_file_missing', message);
    return { accepted: null, errors };
  }
  throw error;
}

/** @returns null once the plan is another's. */
async function readAll(plan: Plan, on: Planner, signal: AbortSignal): Promise<Outcome | null> {
  const lines = await linesToRead(plan, on, signal);
  if (lines === null) return null;
  const file = await fileOf(plan, lines, on, signal);
  const { answerBytes } = kinds[plan.kind as KindId];
  let cutter = null as ChunkCutter | null;
  const rules = {
    endpoint: plan.endpoint,
    lineMaxBytes: on.lineMaxBytes,
    maxLines: on.batchMaxLines,
    route(model: string) {
      const { provider } = on.route(model, plan.kind as KindId);
      return { provider: provider.id, pool: provider.pool };
    },
  };
  const verdict = await checkInput(file, rules, {
    async begin(model) {
      cutter = await cutterFor(plan, file, model, on);
    },
    take: (line, request) => cutter!.add(line, answerBytes(request.body)),
    goOn: async () => !cutter || cutter.ready < page || on.plans.addChunks(plan, cutter.take()),
  });
  if (!verdict?.accepted) return verdict;
  const last = cutter!.end();
  if (last.length > 0 && !(await on.plans.addChunks(plan, last))) return null;
  return { accepted: { ...verdict.accepted, chunkCount: cutter!.count }, errors: [] };
}

/** The input of a retry is yet to be read together. @returns null once the plan is another's. */
async function linesToRead(plan: Plan, on: Planner, signal: AbortSignal): Promise<number | null> {
  const { workspaceId, inputFileId, retryOf } = plan;
  const { status, lines } = await on.files.get(workspaceId, inputFileId);
  if (status === 'processed') return lines;
  if (status === 'error' || retryOf === null) throw new NotFound('The input file was never written.');
  if (!(await collectFailedLines(plan, retryOf, on, signal))) return null;
  return (await on.files.get(workspaceId, inputFileId)).lines;
}

async function cutterFor(
  { kind }: Plan,
  { lines }: InputFile,
  model: string,
  on: Planner,
): Promise<ChunkCutter> {
  const { chunk: limits } = kinds[kind as KindId];
  const linesPerSecond = await on.plans.linesPerSecond(model);
  return new ChunkCutter({ ...limits, maxLines: chunkLines(lines, limits, linesPerSecond) });
}

async function fileOf(
  { workspaceId, inputFileId }: Plan,
  lines: number,
  on: Planner,
  signal: AbortSignal,
): Promise<InputFile> {
  const [segments, lineIndex] = await Promise.all([
    on.files.segments(workspaceId, inputFileId),
    on.files.lineIndex(workspaceId, inputFileId),
  ]);
  return {
    lines,
    lineIndex,
    head: () => buffer(readSegments(on.store, segments, { start: 0, end: 3, signal })),
    read: (start) => readSegments(on.store, segments, { start, signal }) as AsyncIterable<Buffer>,
  };
}
