/** Work that takes a while at the upstream: queued, then under way for so many looks, then done, unless cancelled. */

export interface Rendering {
  readonly id: string;
  readonly input: Readonly<Record<string, unknown>>;
  looks: number;
  isCanceled: boolean;
}

export interface Look {
  readonly state: 'queued' | 'running' | 'done' | 'canceled';
  /** 0 to 100. */
  readonly percent: number;
}

export class Renderings {
  readonly all = new Map<string, Rendering>();

  /** @param looks how often one is looked at until it is done; the first finds it queued. */
  constructor(
    private readonly prefix: string,
    public looks = 4,
  ) {}

  start(input: Readonly<Record<string, unknown>>): Rendering {
    const rendering = { id: `${this.prefix}${this.all.size + 1}`, input, looks: 0, isCanceled: false };
    this.all.set(rendering.id, rendering);
    return rendering;
  }

  look(id: string): Look | undefined {
    const rendering = this.all.get(id);
    if (!rendering) return undefined;
    if (rendering.isCanceled) return { state: 'canceled', percent: 0 };
    const percent = Math.min(100, Math.round((rendering.looks++ / this.looks) * 100));
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
