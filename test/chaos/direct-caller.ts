/** Who sends direct requests while things break: each with a key, sent again until it is answered for good. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Platform } from '../support/platform.ts';

export interface DirectAnswer {
  /** 0: the connection failed. */
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
  /** Every try, and each request's last. */
  readonly attempts: DirectAnswer[] = [];
  readonly ended: DirectAnswer[] = [];
  private calling = true;
  private readonly working: Promise<void>;
  private readonly sent: Promise<void>[] = [];

  /** @param everyMs from one request to the next, whatever becomes of those before. */
  constructor(
    private readonly platform: Platform,
    private readonly everyMs: number,
  ) {
    this.working = this.call();
  }

  /** Ends once every request is answered. */
  async stop(): Promise<void> {
    this.calling = false;
    await this.working;
    await Promise.all(this.sent);
  }

  private async call(): Promise<void> {
    while (this.calling) {
      this.sent.push(this.persist());
      await sleep(this.everyMs);
    }
  }

  private async persist(): Promise<void> {
    const key = randomUUID();
    for (;;) {
      const answer = await send(this.platform, { key, delayMs: 20 });
      this.attempts.push(answer);
      if (answer.status !== 0 && answer.status !== 503) return void this.ended.push(answer);
      await sleep(500);
    }
  }
}
