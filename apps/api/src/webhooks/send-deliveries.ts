/**
 * Sends due webhook deliveries, in every API process: leases them (two processes never hold the same one), attempts
 * each once, and records the outcome. Woken by the relay, when an endpoint has capacity again, and by a timer.
 *
 * An endpoint that does not respond occupies a few of this process's requests until they time out. They count against
 * other endpoints for one second only; then the endpoint's breaker allows one attempt at a time. So one endpoint does
 * not delay another.
 */
import { randomUUID } from 'node:crypto';
import { sleep } from '#async';
import type { DeliveryAttempt, DeliveryStore, LeasedDelivery } from '#database';
import type { Outbound } from '#outbound';
import type { Bus } from '#realtime';
import { webhookAttemptsTotal, webhookDelaySeconds, type Logger } from '#telemetry';
import { sendAttempt, type Sealer, type WebhookAttemptRecord } from '#webhooks';
import { createLoop } from '../background/loop.ts';
import { startAttemptRecorder, type FailingEndpoint } from './record-attempts.ts';
import { unsealWebhookEndpoint } from './seal-webhook-endpoint.ts';
import { InFlightDeliveries, maxPerEndpoint } from './in-flight-deliveries.ts';

export interface WebhookSenderOptions {
  readonly deliveries: DeliveryStore;
  readonly outbound: Pick<Outbound, 'send'>;
  readonly sealer: Sealer;
  readonly bus: Bus;
  readonly log: Logger;
  /** A test's clock, for the retry schedule. */
  readonly now?: () => Date;
  /** For a whole attempt. @default 15,000 */
  readonly timeoutMs?: number;
}

export interface WebhookSender {
  /** Waits up to 3 s for attempts in flight, then releases the leases of the others. */
  stop(): Promise<void>;
}

const pollEveryMs = 250;
/** Longer than an attempt and its record take; after it another process may attempt the delivery. */
const leaseS = 20;
/** An endpoint that has failed for so long is disabled. */
const disableAfterMs = 5 * 86_400_000;
const drainMs = 3_000;

type SentAttempt = DeliveryAttempt & Pick<WebhookAttemptRecord, 'isGone'>;

export function startWebhookSender(deps: WebhookSenderOptions): WebhookSender {
  const { deliveries, bus, log, now = () => new Date() } = deps;
  const holder = randomUUID();
  const stopping = new AbortController();
  const inFlight = new InFlightDeliveries();
  /** Endpoints whose deliveries fill their capacity: more may be due. */
  const saturated = new Set<string>();

  const recorder = startAttemptRecorder<SentAttempt>({
    record: (attempts) => deliveries.recordAttempts(holder, attempts),
    onRecorded: async (attempts, failing) => {
      let hasCapacity = false;
      for (const { deliveryId, endpointId } of attempts) {
        inFlight.delete(deliveryId);
        hasCapacity = saturated.delete(endpointId) || hasCapacity;
      }
      if (hasCapacity) loop.wake();
      await disableFailed(attempts, failing);
    },
    log,
  });

  async function disableFailed(attempts: readonly SentAttempt[], failing: readonly FailingEndpoint[]) {
    const gone = new Set(attempts.filter(({ isGone }) => isGone).map(({ endpointId }) => endpointId));
    const failed = failing.filter(
      ({ failingSince }) => now().getTime() - failingSince.getTime() >= disableAfterMs,
    );
    for (const id of new Set([...gone, ...failed.map(({ id }) => id)])) {
      if (!(await deliveries.disableEndpoint(id, gone.has(id) ? 'gone' : 'failing'))) continue;
      log.warn({ endpointId: id }, 'disabled a webhook endpoint');
      void bus.publish('events.committed', {});
    }
  }

  const sendDue = async () => {
    for (;;) {
      const { limit, failingLimit } = inFlight.countFree();
      if (limit <= 0) return;
      const remainingCapacity = inFlight.getRemainingCapacity();
      const leased = await deliveries.lease({
        holder,
        leaseS,
        limit,
        failingLimit,
        endpointCapacity: maxPerEndpoint,
        remainingCapacity,
      });
      for (const [endpointId, ofEndpoint] of Map.groupBy(leased, ({ endpointId: id }) => id)) {
        const { consecutiveFailures, isOrdered } = ofEndpoint[0]!;
        const capacity = remainingCapacity.get(endpointId) ?? maxPerEndpoint;
        if (isOrdered || consecutiveFailures > 0 || ofEndpoint.length >= capacity) saturated.add(endpointId);
      }
      // A delivery that is in flight was leased again because its record waited for the database: it is not sent twice.
      for (const delivery of leased) if (!inFlight.has(delivery.id)) void send(delivery);
      if (leased.length < limit) return;
    }
  };

  async function send(delivery: LeasedDelivery): Promise<void> {
    const { id, endpointId, consecutiveFailures } = delivery;
    inFlight.add(id, endpointId, consecutiveFailures > 0);
    const record = await attemptDelivery(delivery, deps, now);
    const succeeded = record.outcome === 'succeeded';
    webhookAttemptsTotal.inc({ outcome: succeeded ? 'succeeded' : 'failed' });
    if (delivery.attemptCount === 0) {
      const endedAt = record.startedAt.getTime() + record.durationMs;
      webhookDelaySeconds.observe(Math.max(0, endedAt - delivery.eventAt.getTime()) / 1_000);
    }
    recorder.put({ deliveryId: id, endpointId, ...record });
  }

  const loop = createLoop('webhooks', pollEveryMs, sendDue, log);
  const running = loop.run(stopping.signal);
  const subscription = bus.subscribe('deliveries.due', loop.wake, loop.wake);
  // Without the bus the timer alone drives it.
  subscription.catch(() => {});
  return {
    async stop() {
      stopping.abort();
      await running;
      void subscription.then((unsubscribe) => unsubscribe()).catch(() => {});
      const until = performance.now() + drainMs;
      while (inFlight.size > 0 && performance.now() < until) await sleep(20);
      await recorder.stop();
      await deliveries.release(holder).catch(() => undefined);
    },
  };
}

async function attemptDelivery(
  delivery: LeasedDelivery,
  { outbound, sealer, timeoutMs }: WebhookSenderOptions,
  now: () => Date,
): Promise<WebhookAttemptRecord> {
  const { event, eventAt, url, scheduleStep } = delivery;
  const deps = { send: outbound.send, now, ...(timeoutMs && { timeoutMs }) };
  const attempt = { event: { ...event, createdAt: eventAt }, url, scheduleStep: scheduleStep + 1 };
  let unsealed;
  try {
    unsealed = unsealWebhookEndpoint(sealer, delivery.endpointId, delivery);
  } catch {
    // Nothing is sent without a signature. The attempt's error tells the owner to rotate the secret.
    const error = Object.assign(new Error('the endpoint’s secret cannot be read: rotate it'), {
      code: 'secret_unreadable',
    });
    return sendAttempt(
      { ...attempt, secrets: [], headers: {} },
      { ...deps, send: () => Promise.reject(error) },
    );
  }
  return sendAttempt({ ...attempt, ...unsealed }, deps);
}
