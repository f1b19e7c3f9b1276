/** Facts to receivers, all of it but HTTP's edge: a database, the relay, senders, and a clock in the test's hand. */
import { newId } from '#contracts';
import {
  DeliveryLogStore,
  DeliveryStore,
  EndpointStore,
  FeedStore,
  LeaseStore,
  type NewEndpoint,
  type WebhookEndpointRow,
} from '#database';
import { allowedHosts, createOutbound, type Outbound } from '#outbound';
import { connectBus } from '#realtime';
import { createLogger } from '#telemetry';
import { createSealer, newSigningSecret, secretHint } from '#webhooks';
import { startRelay } from '../../../apps/api/src/duties/relay.ts';
import { sealHeaders, sealSecret } from '../../../apps/api/src/webhooks/secrets.ts';
import { startSender, type Sender, type SenderOptions } from '../../../apps/api/src/webhooks/sender.ts';
import { createSubjects, writeFact, type Subject } from '../feed-writers.ts';
import { openHouse } from '../stores/house.ts';
import { serverUrl } from '../../support/postgres.ts';

export type PostOffice = Awaited<ReturnType<typeof openPostOffice>>;

export const sealer = createSealer('a test’s own secret of 32 characters');
const log = createLogger('test', 'silent');

export interface MadeEndpoint {
  readonly id: string;
  readonly secret: string;
  readonly row: WebhookEndpointRow;
}

export async function openPostOffice() {
  const house = await openHouse();
  const { database } = house;
  const [{ name } = { name: '' }] = await database.statement<{ name: string }>(
    'select current_database() as name',
  );
  const at = new URL(serverUrl());
  at.pathname = `/${name}`;
  const bus = await connectBus({ kind: 'postgres', url: at.href }, { log });
  const endpoints = new EndpointStore(database);
  const deliveryLog = new DeliveryLogStore(database);
  const feed = new FeedStore(database);
  const running: { stop(): Promise<void> }[] = [];
  const outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: allowedHosts(['127.0.0.1']),
  });
  let clock: Date | null = null;
  let subjects: Subject[] = await createSubjects(database, 1, 4);
  const { workspaceId } = subjects[0]!;
  const now = () => clock ?? new Date();
  const stop = async (one: { stop(): Promise<void> }) => {
    running.splice(running.indexOf(one), 1);
    await one.stop();
  };

  const office = {
    ...house,
    bus,
    endpoints,
    deliveryLog,
    feed,
    workspaceId,
    get subjects() {
      return subjects;
    },
    async otherWorkspace(): Promise<Subject> {
      const [other] = await createSubjects(database, 1, 1);
      subjects = [...subjects, other!];
      return other!;
    },
    /** From now on it is this time, until the next call; null lets it run again. */
    setClock: (time: Date | null) => void (clock = time),
    now,

    startRelay() {
      const relay = startRelay({ feed, leases: new LeaseStore(database), bus, log });
      running.push(relay);
      return { stop: () => stop(relay) };
    },
    startSender(over: Partial<SenderOptions> & { outbound?: Pick<Outbound, 'send'> } = {}): Sender {
      const deliveries = new DeliveryStore(database, { now });
      const sender = startSender({ deliveries, outbound, sealer, bus, log, now, timeoutMs: 2_000, ...over });
      running.push(sender);
      return { stop: () => stop(sender) };
    },

    async endpoint(
      url: string,
      {
        headers,
        ...over
      }: Partial<NewEndpoint> & { workspaceId?: string; headers?: Record<string, string> } = {},
    ): Promise<MadeEndpoint> {
      const [id, secret] = [newId('endpoint'), newSigningSecret()];
      const row = await endpoints.create(over.workspaceId ?? workspaceId, {
        id,
        name: 'test',
        url,
        eventTypes: ['*'],
        secretSealed: sealSecret(sealer, id, secret),
        secretHint: secretHint(secret),
        ...sealHeaders(sealer, id, headers),
        ...over,
      });
      return { id, secret, row };
    },

    /** Commits a fact about the subject of that number. */
    async fact(subject = 0): Promise<void> {
      await writeFact(database, subjects[subject]!);
      void bus.announce('facts.written', {});
    },

    async deliveriesOf(endpointId: string) {
      return database.statement<{
        id: string;
        eventId: string;
        status: string;
        tries: number;
        step: number;
        nextTryAt: Date | null;
        errorCode: string | null;
      }>(
        `select id, event_id as "eventId", status, tries, step, next_try_at as "nextTryAt", error_code as "errorCode"
         from deliveries where endpoint_id = $1 order by position`,
        [endpointId],
      );
    },

    async close() {
      await Promise.all(running.splice(0).map((one) => one.stop()));
      await outbound.close();
      await bus.close();
      await house.close();
    },
  };
  return office;
}
