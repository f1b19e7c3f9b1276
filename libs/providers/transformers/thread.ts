/**
 * A worker thread that runs local models: it takes one job at a time and says what came of it. The runtime holds the
 * thread's event loop while it computes, which is why it has one of its own.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { JobResults, CloseJob, Job, ThreadError, Reply, ThreadOptions } from './thread-messages.ts';
import { InvalidDimensions, ModelSession, UnsupportedOutput } from './model-session.ts';
import { InvalidTokens } from './model-tokenizer.ts';

const options = workerData as ThreadOptions;
const sessions = new Map<string, ModelSession>();
let last: Promise<void> = Promise.resolve();

parentPort!.on('message', ({ id, job }: { id: number; job: Job | CloseJob }) => {
  last = last.then(() => (job.type === 'close' ? close() : reply(id, job)));
});

async function close(): Promise<void> {
  for (const model of sessions.keys()) await drop(model);
  parentPort!.close();
}

async function reply(id: number, job: Job): Promise<void> {
  try {
    const answer = await run(job);
    const transfer = answer && 'vectors' in answer ? [answer.vectors.buffer as ArrayBuffer] : [];
    parentPort!.postMessage({ id, answer } satisfies Reply, transfer);
  } catch (error) {
    parentPort!.postMessage({ id, refusal: refusalOf(error, job) } satisfies Reply);
  }
}

async function run(job: Job): Promise<JobResults[keyof JobResults]> {
  switch (job.type) {
    case 'load': {
      const { plan, measured } = job;
      await drop(plan.model);
      const session = await ModelSession.load(plan, options);
      sessions.set(plan.model, session);
      return measured ?? (await session.measure());
    }
    case 'unload':
      await drop(job.model);
      return null;
    case 'embed':
      return sessions.get(job.model)!.embed(job);
  }
}

async function drop(model: string): Promise<void> {
  const session = sessions.get(model);
  sessions.delete(model);
  await session?.dispose();
}

/** The runtime's messages name files and operators, never what was embedded. */
function refusalOf(error: unknown, job: Job): ThreadError {
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
