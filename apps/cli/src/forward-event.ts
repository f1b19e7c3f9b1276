/** Sends one event to the local server, signed as a webhook is. */
import type { EventObject } from '@millrace/contracts';
import { buildPayload, buildSignatureHeaders } from '#webhooks';
import type { ForwardResult } from './forward-log.ts';

/** The same time limit as for a webhook. */
const timeoutMs = 15_000;

/** Makes one attempt. The user sees a failure at once, and can repeat the event with `--after`. Never rejects. */
export async function forwardEvent(
  event: EventObject,
  { forwardTo, secret }: { forwardTo: string; secret: string },
): Promise<ForwardResult> {
  const { id, type, data, position, subject } = event;
  const body = buildPayload({ id, type, createdAt: new Date(event.created_at * 1_000), data });
  const headers = buildSignatureHeaders({ id, at: new Date(), body, secrets: [secret] });
  const startedAt = performance.now();
  const toResult = (answer: string, isSuccess: boolean): ForwardResult => {
    return { position, type, subject, answer, isSuccess, ms: performance.now() - startedAt };
  };
  try {
    const response = await fetch(forwardTo, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'millrace-listen', ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    return toResult(String(response.status), response.ok);
  } catch (error) {
    const { name, message, cause } = error as Error & { cause?: { code?: string } };
    return toResult(name === 'TimeoutError' ? 'timed out' : (cause?.code ?? message), false);
  }
}
