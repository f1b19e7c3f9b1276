/**
 * Sends what is due, in every API process: leases deliveries (two processes never hold the same one), tries each once,
 * and writes down what came of it. Woken by the relay, by an endpoint that has room again, and by a slow clock.
 *
 * An endpoint that hangs holds a few of this process's requests for the time of one try, and those count against the
 * others for a second only; then its breaker keeps it to one try at a time. That is how one never delays another.
 */
import { randomUUID } from 'node:crypto';
import type { DeliveryStore, DeliveryTry, LeasedDelivery } from '#database';
import type { Outbound } from '#outbound';
import type { Bus } from '#realtime';
import { webhookDelay, webhookTries, type Logger } from '#telemetry';
import { attempt, type AttemptRecord, type Sealer } from '#webhooks';
import { createLoop } from '../background/loop.ts';
import { startAttemptRecorder } from './record-attempts.ts';
import { openWebhookEndpoint } from './seal-webhook-endpoint.ts';

export interface WebhookSenderOptions {
  readonly deliveries: DeliveryStore;
  readonly outbound: Pick<Outbound, 'send'>;
  readonly sealer: Sealer;
  readonly bus: Bus;
  readonly log: Logger;
  /** A test's clock; the schedule goes by it. */
  readonly now?: () => Date;
  /** For a whole try. @default 15,000 */
  readonly timeoutMs?: number;
}

export interface WebhookSender {
  /** Waits a little for what is under way, and gives back what is not. */
  stop(): Promise<void>;
}

const lookEveryMs = 250;
/** Longer than a try and its record take: after it another process may try. */
const leaseS = 20;
/** Requests at once: those that began in the last second, all, those to endpoints that failed lately, to one endpoint. */
const limits = { young: 128, all: 1_024, failing: 32, endpoint: 16, failingEndpoint: 4 };
const youngMs = 1_000;
const failingForMs = 5 * 86_400_000;
const lastWaitMs = 3_000;

interface InFlight {
  readonly endpointId: string;
  readonly since: number;
  readonly isFailing: boolean;
}

export function startWebhookSender(deps: WebhookSenderOptions): WebhookSender {
  const { deliveries, bus, log, now = () => new Date() } = deps;
  const holder = randomUUID();
  const stopping = new AbortController();
  const underWay = new Map<string, InFlight>();
  /** Endpoints that gave all they had room for: there may be more. */
  const full = new Set<string>();

  const recorder = startAttemptRecorder<SentAttempt>({
    record: (tries) => deliveries.recordAttempts(holder, tries),
    onRecorded: async (tries, failing) => {
      let more = false;
      for (const { deliveryId, endpointId } of tries) {
        underWay.delete(deliveryId);
        more = full.delete(endpointId) || more;
      }
      if (more) sending.wake();
      await disableFailed(tries, failing);
    },
    log,
  });

  async function disableFailed(
    tries: readonly SentAttempt[],
    failing: readonly { id: string; failingSince: Date }[],
  ) {
    const gone = new Set(tries.filter(({ isGone }) => isGone).map(({ endpointId }) => endpointId));
    const tired = failing.filter(
      ({ failingSince }) => now().getTime() - failingSince.getTime() >= failingForMs,
    );
    for (const id of new Set([...gone, ...tired.map(({ id }) => id)])) {
      if (!(await deliveries.disableEndpoint(id, gone.has(id) ? 'gone' : 'failing'))) continue;
      log.warn({ endpointId: id }, 'a webhook endpoint was disabled');
      void bus.publish('facts.written', {});
    }
  }

  const round = async () => {
    for (;;) {
      const [limit, failingLimit] = countFree(underWay);
      if (limit <= 0) return;
      const remainingCapacity = findFreeRoom(underWay);
      const leased = await deliveries.lease({
        holder,
        leaseS,
        limit,
        failingLimit,
        endpointCapacity: limits.endpoint,
        remainingCapacity,
      });
      const perEndpoint = Map.groupBy(leased, ({ endpointId }) => endpointId);
      for (const [endpointId, of] of perEndpoint) {
        const { consecutiveFailures, isOrdered } = of[0]!;
        if (
          isOrdered ||
          consecutiveFailures > 0 ||
          of.length >= (remainingCapacity.get(endpointId) ?? limits.endpoint)
        )
          full.add(endpointId);
      }
      // One whose lease ended while its record waited for the database is not sent again.
      for (const delivery of leased) if (!underWay.has(delivery.id)) void send(delivery);
      if (leased.length < limit) return;
    }
  };

  async function send(delivery: LeasedDelivery): Promise<void> {
    const { id, endpointId, consecutiveFailures } = delivery;
    underWay.set(id, { endpointId, since: performance.now(), isFailing: consecutiveFailures > 0 });
    const record = await attemptDelivery(delivery, deps, now);
    const succeeded = record.outcome === 'succeeded';
    webhookTries.inc({ outcome: succeeded ? 'succeeded' : 'failed' });
    if (delivery.attemptCount === 0) {
      const ended = record.startedAt.getTime() + record.durationMs;
      webhookDelay.observe(Math.max(0, ended - delivery.eventAt.getTime()) / 1_000);
    }
    recorder.put({ deliveryId: id, endpointId, ...record });
  }

  const sending = createLoop('webhooks', lookEveryMs, round, log);
  const running = sending.run(stopping.signal);
  const listening = bus.subscribe('deliveries.due', sending.wake, sending.wake);
  // Without the bus the clock alone drives it.
  listening.catch(() => {});
  return {
    async stop() {
      stopping.abort();
      await running;
      void listening.then((unsubscribe) => unsubscribe()).catch(() => {});
      const until = performance.now() + lastWaitMs;
      while (underWay.size > 0 && performance.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 20));
      await recorder.stop();
      await deliveries.release(holder).catch(() => undefined);
    },
  };
}

type SentAttempt = DeliveryTry & Pick<AttemptRecord, 'isGone'>;

async function attemptDelivery(
  delivery: LeasedDelivery,
  deps: WebhookSenderOptions,
  now: () => Date,
): Promise<AttemptRecord> {
  const { event, eventAt, url, scheduleStep } = delivery;
  const sending = { send: deps.outbound.send, now, ...(deps.timeoutMs && { timeoutMs: deps.timeoutMs }) };
  const trial = { event: { ...event, createdAt: eventAt }, url, scheduleStep: scheduleStep + 1 };
  let sealed;
  try {
    sealed = openWebhookEndpoint(deps.sealer, delivery.endpointId, delivery);
  } catch {
    // Unsigned, nothing is sent. Its owner sees why, and can rotate the secret.
    const unreadable = { code: 'secret_unreadable', message: 'its secret cannot be read here: rotate it' };
    return attempt(
      { ...trial, secrets: [], headers: {} },
      { ...sending, send: () => Promise.reject(toError(unreadable)) },
    );
  }
  return attempt({ ...trial, ...sealed }, sending);
}

const toError = ({ code, message }: { code: string; message: string }) =>
  Object.assign(new Error(message), { code });

/** @returns how many more may be sent, and of those how many to endpoints that failed lately. */
function countFree(underWay: ReadonlyMap<string, InFlight>): [number, number] {
  const youngest = performance.now() - youngMs;
  let [young, failing] = [0, 0];
  for (const { since, isFailing } of underWay.values()) {
    if (since > youngest) young++;
    if (isFailing) failing++;
  }
  const limit = Math.min(limits.young - young, limits.all - underWay.size);
  return [limit, Math.max(0, Math.min(limit, limits.failing - failing))];
}

/** What room is left at the endpoints that are being sent to. */
function findFreeRoom(underWay: ReadonlyMap<string, InFlight>): Map<string, number> {
  const room = new Map<string, number>();
  for (const { endpointId, isFailing } of underWay.values()) {
    const before = room.get(endpointId) ?? (isFailing ? limits.failingEndpoint : limits.endpoint);
    room.set(endpointId, Math.max(0, before - 1));
  }
  return room;
}
