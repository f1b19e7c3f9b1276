/** One thread of the provider and its pending jobs. The thread starts with its first job, and again after it died. */
import { Worker } from 'node:worker_threads';
import { ProviderFailure } from '#domain';
import { toFailure } from './failures.ts';
import type { CloseJob, Job, JobResults, ModelPlan, Reply, ThreadOptions } from './thread-messages.ts';

/** TypeScript in the sources, whose types Node strips; JavaScript in the build. */
const defaultThreadUrl = new URL(
  `./thread.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`,
  import.meta.url,
);

interface PendingJob {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
  readonly job: Job;
}

export class ThreadSlot {
  private worker: Worker | null = null;
  private readonly pending = new Map<number, PendingJob>();
  private readonly loadedModels = new Set<string>();
  private lastId = 0;

  constructor(
    private readonly options: ThreadOptions,
    private readonly threadUrl: URL = defaultThreadUrl,
  ) {}

  /** @throws ProviderFailure; retryable if the thread died. */
  run<J extends Job>(job: J): Promise<JobResults[J['type']]> {
    const worker = (this.worker ??= this.start());
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject, job });
      worker.postMessage({ id, job });
    });
  }

  /** A thread that was restarted has no models. */
  hasModel({ model }: ModelPlan): boolean {
    return this.loadedModels.has(model);
  }

  /**
   * Lets the thread end by itself after its current job. Terminating it while it runs native code would end the whole
   * process (onnxruntime-node 1.30 throws through a JavaScript engine that has been stopped).
   */
  async close(): Promise<void> {
    const { worker } = this;
    if (!worker) return;
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage({ id: 0, job: { type: 'close' } satisfies CloseJob });
    await exited;
  }

  private start(): Worker {
    // No environment: it contains secrets. No flags: a test runner's flags are not meant for the thread.
    const worker = new Worker(this.threadUrl, {
      name: 'local-model',
      workerData: this.options,
      env: {},
      execArgv: [],
    });
    let cause: unknown;
    worker.on('message', (reply: Reply) => this.settle(reply));
    worker.on('error', (error: unknown) => {
      cause = error;
    });
    worker.on('exit', () => this.onExit(worker, cause));
    return worker;
  }

  /**
   * Records here which models are loaded, not where the caller awaits: the last replies and the thread's exit may
   * arrive in one turn of the event loop, and the exit must be recorded after the replies.
   */
  private settle(reply: Reply): void {
    const { resolve, reject, job } = this.pending.get(reply.id)!;
    this.pending.delete(reply.id);
    const model = job.type === 'load' ? job.plan.model : job.model;
    if ('error' in reply) return reject(toFailure(reply.error, model));
    if (job.type === 'load') this.loadedModels.add(model);
    if (job.type === 'unload') this.loadedModels.delete(model);
    resolve(reply.result as never);
  }

  private onExit(worker: Worker, cause: unknown): void {
    if (this.worker === worker) this.worker = null;
    this.loadedModels.clear();
    const failure = new ProviderFailure('The thread that ran this model died; a new one replaces it.', {
      code: 'model_thread_died',
      status: 503,
      retryable: true,
      suspect: true,
      retryAfterMs: 100,
      cause,
    });
    for (const { reject } of this.pending.values()) reject(failure);
    this.pending.clear();
  }
}
