/**
 * Creates batches while a server is away: each has an Idempotency-Key and is retried until it is acknowledged. All answers
 * are kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment, Submitted } from './deployment.ts';

export interface Answer {
  /** When it arrived, in ms since the epoch, and how long the request took. */
  readonly at: number;
  readonly ms: number;
  /** 0 if the connection failed. */
  readonly status: number;
  readonly retryAfter: string | null;
}

export class BatchCaller {
  readonly answers: Answer[] = [];
  readonly acknowledged: string[] = [];
  private running = true;
  private readonly loop: Promise<void>;

  /** @param everyMs pause between two requests. @param file the uploaded input of all its batches. */
  constructor(
    private readonly deployment: Deployment,
    private readonly file: Submitted,
    private readonly everyMs: number,
  ) {
    this.loop = this.createBatches();
  }

  /** Resolves when the current request is acknowledged. */
  async stop(): Promise<void> {
    this.running = false;
    await this.loop;
  }

  private async createBatches(): Promise<void> {
    for (let number = 1; this.running; number++) {
      const key = `caller-${this.deployment.options.seed}-${number}`;
      while (!(await this.create(key))) await sleep(this.everyMs);
      await sleep(this.everyMs);
    }
  }

  private async create(key: string): Promise<boolean> {
    const { url, apiKey } = this.deployment.platform;
    const began = Date.now();
    const answer = await fetch(`${url}/v1/batches`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${apiKey}`,
        'content-type': 'application/json',
        'idempotency-key': key,
      },
      body: JSON.stringify({
        input_file_id: this.file.fileId,
        endpoint: '/v1/embeddings',
        completion_window: '24h',
      }),
      signal: AbortSignal.timeout(30_000),
    }).catch(() => null);
    const at = Date.now();
    const body = (await answer?.json().catch(() => null)) as { id?: string } | null;
    const retryAfter = answer?.headers.get('retry-after') ?? null;
    this.answers.push({ at, ms: at - began, status: answer?.status ?? 0, retryAfter });
    if (answer?.status !== 200 || !body?.id) return false;
    this.acknowledged.push(body.id);
    this.deployment.add({ ...this.file, id: body.id });
    return true;
  }
}

/** @returns the number of answers for each status, as text. */
export function countStatuses(answers: readonly { readonly status: number }[]): string {
  const counts = Map.groupBy(answers, ({ status }) => status);
  return [...counts].map(([status, of]) => `${of.length} × ${status || 'no connection'}`).join(', ');
}
