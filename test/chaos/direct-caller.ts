/** Sends direct requests during a fault: each has an idempotency key and is retried until its final answer. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Platform } from '../support/platform.ts';

export interface DirectAnswer {
  /** 0 if the connection failed. */
  readonly status: number;
}

export async function send(
  { url, apiKey }: Pick<Platform, 'url' | 'apiKey'>,
  { key, delayMs }: { key: string; delayMs: number },
): Promise<DirectAnswer> {
  const metadata = { sandbox: JSON.stringify({ delay_ms: delayMs }) };
  const answer = await fetch(`${url}/v1/embeddings`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: JSON.stringify({ model: 'sandbox/embeddings', input: key, metadata }),
    signal: AbortSignal.timeout(60_000),
  }).catch(() => null);
  await answer?.arrayBuffer().catch(() => null);
  return { status: answer?.status ?? 0 };
}

export class DirectCaller {
  /** The answers to all attempts, and the final answer of each request. */
  readonly attempts: DirectAnswer[] = [];
  readonly ended: DirectAnswer[] = [];
  private running = true;
  private readonly loop: Promise<void>;
  private readonly sent: Promise<void>[] = [];

  /** @param everyMs interval between new requests; it does not wait for earlier answers. */
  constructor(
    private readonly platform: Platform,
    private readonly everyMs: number,
  ) {
    this.loop = this.sendRequests();
  }

  /** Resolves when every request is answered. */
  async stop(): Promise<void> {
    this.running = false;
    await this.loop;
    await Promise.all(this.sent);
  }

  private async sendRequests(): Promise<void> {
    while (this.running) {
      this.sent.push(this.sendUntilAnswered());
      await sleep(this.everyMs);
    }
  }

  private async sendUntilAnswered(): Promise<void> {
    const key = randomUUID();
    for (;;) {
      const answer = await send(this.platform, { key, delayMs: 20 });
      this.attempts.push(answer);
      if (answer.status !== 0 && answer.status !== 503) return void this.ended.push(answer);
      await sleep(500);
    }
  }
}
