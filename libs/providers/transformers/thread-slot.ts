/** One thread of the provider, and what it has been given: started when there is work, and anew when it has died. */
import { Worker } from 'node:worker_threads';
import { ProviderFailure } from '#domain';
import type { JobResults, CloseJob, Job, ModelPlan, Reply, ThreadOptions } from './thread-messages.ts';
import { toFailure } from './failures.ts';

/** From the sources Node strips the types itself; from the build it is JavaScript. */
const threadUrl = new URL(`./thread.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

interface Waiting {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
  readonly job: Job;
}

export class Slot {
  private worker: Worker | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private readonly loaded = new Set<string>();
  private lastId = 0;

  constructor(
    private readonly options: ThreadOptions,
    private readonly url: URL = threadUrl,
  ) {}

  /** @throws ProviderFailure; retryable where the thread died. */
  run<J extends Job>(job: J): Promise<JobResults[J['type']]> {
    const worker = (this.worker ??= this.start());
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, job });
      worker.postMessage({ id, job });
    });
  }

  /** A thread that was started anew holds nothing yet. */
  hasModel({ model }: ModelPlan): boolean {
    return this.loaded.has(model);
  }

  /**
   * Lets the thread end by itself, after the job that it has: to terminate it within the runtime's native part ends the
   * whole process (onnxruntime-node 1.30 throws through a JavaScript engine that has been stopped).
   */
  async close(): Promise<void> {
    const { worker } = this;
    if (!worker) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage({ id: 0, job: { type: 'close' } satisfies CloseJob });
    await ended;
  }

  private start(): Worker {
    // The settings' secrets stay in the process; a parent's flags (a test runner's) are not the thread's.
    const worker = new Worker(this.url, {
      name: 'local-model',
      workerData: this.options,
      env: {},
      execArgv: [],
    });
    let cause: unknown;
    worker.on('message', (reply: Reply) => this.take(reply));
    worker.on('error', (error: unknown) => {
      cause = error;
    });
    worker.on('exit', () => this.gone(worker, cause));
    return worker;
  }

  /** What the thread holds is noted here and not by who asked: its last answers may come in one turn with its end. */
  private take(reply: Reply): void {
    const { resolve, reject, job } = this.waiting.get(reply.id)!;
    this.waiting.delete(reply.id);
    const model = job.type === 'load' ? job.plan.model : job.model;
    if ('refusal' in reply) return reject(toFailure(reply.refusal, model));
    if (job.type === 'load') this.loaded.add(model);
    if (job.type === 'unload') this.loaded.delete(model);
    resolve(reply.answer as never);
  }

  private gone(worker: Worker, cause: unknown): void {
    if (this.worker === worker) this.worker = null;
    this.loaded.clear();
    const failure = new ProviderFailure('The thread that ran this model ended; a new one takes its place.', {
      code: 'model_thread_died',
      status: 503,
      retryable: true,
      suspect: true,
      retryAfterMs: 100,
      cause,
    });
    for (const { reject } of this.waiting.values()) reject(failure);
    this.waiting.clear();
  }
}
