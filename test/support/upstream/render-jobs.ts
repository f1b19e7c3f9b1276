/** Jobs of the upstream that are polled: queued, then running for a number of polls, then done, unless they are cancelled. */

export interface RenderJob {
  readonly id: string;
  readonly input: Readonly<Record<string, unknown>>;
  polls: number;
  isCanceled: boolean;
}

export interface RenderStatus {
  readonly state: 'queued' | 'running' | 'done' | 'canceled';
  /** 0 to 100. */
  readonly percent: number;
}

export class RenderJobs {
  readonly all = new Map<string, RenderJob>();

  /** @param pollsUntilDone number of polls until a job is done. The first poll returns `queued`. */
  constructor(
    private readonly prefix: string,
    public pollsUntilDone = 4,
  ) {}

  start(input: Readonly<Record<string, unknown>>): RenderJob {
    const job = { id: `${this.prefix}${this.all.size + 1}`, input, polls: 0, isCanceled: false };
    this.all.set(job.id, job);
    return job;
  }

  poll(id: string): RenderStatus | undefined {
    const job = this.all.get(id);
    if (!job) return undefined;
    if (job.isCanceled) return { state: 'canceled', percent: 0 };
    const percent = Math.min(100, Math.round((job.polls++ / this.pollsUntilDone) * 100));
    if (percent >= 100) return { state: 'done', percent: 100 };
    return { state: percent === 0 ? 'queued' : 'running', percent };
  }

  cancel(id: string): boolean {
    const job = this.all.get(id);
    if (!job) return false;
    job.isCanceled = true;
    return true;
  }
}
