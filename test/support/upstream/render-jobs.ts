/** Generation that takes a while at the upstream: queued, then running for a number of polls, then done, unless it is cancelled. */

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

  /** @param pollsUntilDone how often one is looked at until it is done; the first finds it queued. */
  constructor(
    private readonly prefix: string,
    public pollsUntilDone = 4,
  ) {}

  start(input: Readonly<Record<string, unknown>>): RenderJob {
    const rendering = { id: `${this.prefix}${this.all.size + 1}`, input, polls: 0, isCanceled: false };
    this.all.set(rendering.id, rendering);
    return rendering;
  }

  poll(id: string): RenderStatus | undefined {
    const rendering = this.all.get(id);
    if (!rendering) return undefined;
    if (rendering.isCanceled) return { state: 'canceled', percent: 0 };
    const percent = Math.min(100, Math.round((rendering.polls++ / this.pollsUntilDone) * 100));
    if (percent >= 100) return { state: 'done', percent: 100 };
    return { state: percent === 0 ? 'queued' : 'running', percent };
  }

  cancel(id: string): boolean {
    const rendering = this.all.get(id);
    if (!rendering) return false;
    rendering.isCanceled = true;
    return true;
  }
}
