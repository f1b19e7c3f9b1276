/** Fixture of the webhook tests, without the HTTP API: a database, relays, senders, and a clock that tests set. */
import { createId } from '@millrace/contracts';
import {
  DeliveryLogStore,
  DeliveryStore,
  WebhookEndpointStore,
  FeedStore,
  LeaseStore,
  type NewWebhookEndpoint,
  type WebhookEndpointRow,
} from '#database';
import { parseAllowedHosts, createOutbound, type Outbound } from '#outbound';
import { connectBus } from '#realtime';
import { createLogger } from '#telemetry';
import { createSealer, createSigningSecret, buildSecretHint } from '#webhooks';
import { startRelay } from '../../../apps/api/src/live/relay.ts';
import { sealHeaders, sealSecret } from '../../../apps/api/src/webhooks/seal-webhook-endpoint.ts';
import {
  startWebhookSender,
  type WebhookSender,
  type WebhookSenderOptions,
} from '../../../apps/api/src/webhooks/send-deliveries.ts';
import { createSubjects, writeEvent, type Subject } from '../feed-writers.ts';
import { createStoresFixture } from '../stores/stores-fixture.ts';
import { getServerUrl } from '../../support/postgres.ts';

export type WebhookHarness = Awaited<ReturnType<typeof openWebhookHarness>>;

export const sealer = createSealer('a secret of the tests, 32 characters');
const log = createLogger('test', 'silent');

export interface CreatedWebhookEndpoint {
  readonly id: string;
  readonly secret: string;
  readonly row: WebhookEndpointRow;
}

export async function openWebhookHarness() {
  const fixture = await createStoresFixture();
  const { database } = fixture;
  const [{ name } = { name: '' }] = await database.rows<{ name: string }>(
    'select current_database() as name',
  );
  const at = new URL(getServerUrl());
  at.pathname = `/${name}`;
  const bus = await connectBus({ kind: 'postgres', url: at.href }, { log });
  const endpoints = new WebhookEndpointStore(database);
  const deliveryLog = new DeliveryLogStore(database);
  const feed = new FeedStore(database);
  const running: { stop(): Promise<void> }[] = [];
  const outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: parseAllowedHosts(['127.0.0.1']),
  });
  let clock: Date | null = null;
  let subjects: Subject[] = await createSubjects(database, 1, 4);
  const { workspaceId } = subjects[0]!;
  const now = () => clock ?? new Date();
  const stop = async (part: { stop(): Promise<void> }) => {
    running.splice(running.indexOf(part), 1);
    await part.stop();
  };

  const harness = {
    ...fixture,
    bus,
    endpoints,
    deliveryLog,
    feed,
    workspaceId,
    get subjects() {
      return subjects;
    },
    async createOtherWorkspace(): Promise<Subject> {
      const [other] = await createSubjects(database, 1, 1);
      subjects = [...subjects, other!];
      return other!;
    },
    /** Stops the clock at a time; null makes it run again. */
    setClock: (time: Date | null) => void (clock = time),
    now,

    startRelay() {
      const relay = startRelay({ feed, leases: new LeaseStore(database), bus, log });
      running.push(relay);
      return { stop: () => stop(relay) };
    },
    startSender(
      over: Partial<WebhookSenderOptions> & { outbound?: Pick<Outbound, 'send'> } = {},
    ): WebhookSender {
      const deliveries = new DeliveryStore(database, { now });
      const sender = startWebhookSender({
        deliveries,
        outbound,
        sealer,
        bus,
        log,
        now,
        timeoutMs: 2_000,
        ...over,
      });
      running.push(sender);
      return { stop: () => stop(sender) };
    },

    async createEndpoint(
      url: string,
      {
        headers,
        ...over
      }: Partial<NewWebhookEndpoint> & { workspaceId?: string; headers?: Record<string, string> } = {},
    ): Promise<CreatedWebhookEndpoint> {
      const [id, secret] = [createId('webhookEndpoint'), createSigningSecret()];
      const row = await endpoints.create(over.workspaceId ?? workspaceId, {
        id,
        name: 'test',
        url,
        eventTypes: ['*'],
        secretSealed: sealSecret(sealer, id, secret),
        secretHint: buildSecretHint(secret),
        ...sealHeaders(sealer, id, headers),
        ...over,
      });
      return { id, secret, row };
    },

    /** Commits an event of a subject, given by its index. */
    async commitEvent(subject = 0): Promise<void> {
      await writeEvent(database, subjects[subject]!);
      void bus.publish('events.committed', {});
    },

    async listDeliveries(endpointId: string) {
      return database.rows<{
        id: string;
        eventId: string;
        status: string;
        attemptCount: number;
        scheduleStep: number;
        nextAttemptAt: Date | null;
        errorCode: string | null;
      }>(
        `select id, event_id as "eventId", status, attempt_count as "attemptCount",
           schedule_step as "scheduleStep", next_attempt_at as "nextAttemptAt", error_code as "errorCode"
         from deliveries where endpoint_id = $1 order by feed_position`,
        [endpointId],
      );
    },

    async close() {
      await Promise.all(running.splice(0).map((part) => part.stop()));
      await outbound.close();
      await bus.close();
      await fixture.close();
    },
  };
  return harness;
}
