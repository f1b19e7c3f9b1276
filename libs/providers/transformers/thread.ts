/**
 * A worker thread that runs local models, one job at a time. The runtime blocks the event loop while it computes, so it
 * has a thread of its own.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { InvalidDimensions, ModelSession, UnsupportedOutput } from './model-session.ts';
import { InvalidTokens } from './model-tokenizer.ts';
import type { CloseJob, Job, JobResults, Reply, ThreadError, ThreadOptions } from './thread-messages.ts';

const options = workerData as ThreadOptions;
const sessions = new Map<string, ModelSession>();
let lastJob: Promise<void> = Promise.resolve();

parentPort!.on('message', ({ id, job }: { id: number; job: Job | CloseJob }) => {
  lastJob = lastJob.then(() => (job.type === 'close' ? close() : runAndReply(id, job)));
});

async function close(): Promise<void> {
  for (const model of sessions.keys()) await unload(model);
  parentPort!.close();
}

async function runAndReply(id: number, job: Job): Promise<void> {
  try {
    const result = await runJob(job);
    const transfer = result && 'vectors' in result ? [result.vectors.buffer as ArrayBuffer] : [];
    parentPort!.postMessage({ id, result } satisfies Reply, transfer);
  } catch (error) {
    parentPort!.postMessage({ id, error: toThreadError(error, job) } satisfies Reply);
  }
}

async function runJob(job: Job): Promise<JobResults[keyof JobResults]> {
  switch (job.type) {
    case 'load': {
      const { plan, measured } = job;
      await unload(plan.model);
      const session = await ModelSession.load(plan, options);
      sessions.set(plan.model, session);
      return measured ?? (await session.measure());
    }
    case 'unload':
      await unload(job.model);
      return null;
    case 'embed':
      return sessions.get(job.model)!.embed(job);
  }
}

async function unload(model: string): Promise<void> {
  const session = sessions.get(model);
  sessions.delete(model);
  await session?.dispose();
}

/** The runtime's messages contain names of files and operators, never the inputs. */
function toThreadError(error: unknown, job: Job): ThreadError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof InvalidTokens) return { code: 'invalid_tokens', message };
  if (error instanceof InvalidDimensions) return { code: 'invalid_dimensions', message };
  if (error instanceof UnsupportedOutput) return { code: 'model_unsupported', message };
  if (job.type !== 'load') return { code: 'inference_failed', message };
  if (/unsupported model type|not supported|no opset|unknown tokenizer|NOT_IMPLEMENTED/i.test(message))
    return { code: 'model_unsupported', message };
  if (/cuda|execution provider|backend not found|unsupported device/i.test(message))
    return { code: 'device_unavailable', message };
  return { code: 'model_damaged', message };
}
