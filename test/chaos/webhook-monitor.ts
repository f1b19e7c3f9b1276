/**
 * Receives the webhooks of a fault run. One endpoint gets every event; another redirects to an internal address, which must
 * get no request. `checks` compares what arrived with the events in Postgres.
 */
import type OpenAI from 'openai';
import { Webhook } from 'standardwebhooks';
import type { WebhookEndpointObject } from '@millrace/contracts';
import { waitUntil } from '../support/platform.ts';
import {
  startWebhookReceiver,
  respondWithStatus,
  type Responder,
  type ReceivedRequest,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts';
import type { Check } from './fault.ts';
import { ProblemList } from './checker/problem-list.ts';
import type { DatabaseReader } from './database-reader.ts';

/** An attempt of a killed process is repeated when its lease (20 s) expires. */
const arriveWithinMs = 60_000;
/** Limit of concurrent requests of one process to one endpoint: what a kill may duplicate. */
const maxConcurrent = 16;

export class WebhookMonitor {
  private readonly secrets = new Map<string, string>();
  private mainEndpointId = '';
  /** The id of each request that was answered with a 2xx; repeated requests repeat the id. */
  private readonly acceptedIds: string[] = [];
  private responder = respondWithStatus(200);

  private constructor(
    private readonly receiver: WebhookReceiver,
    private readonly internal: WebhookReceiver,
  ) {
    receiver.respondWith((response, one, nth) => {
      if (!one.path.startsWith('/hook'))
        return respondWithStatus(307, { location: internal.url })(response, one, nth);
      this.responder(response, one, nth);
      if (response.statusCode < 300) this.acceptedIds.push(one.headers['webhook-id'] as string);
    });
  }

  /** Runs `work` with receivers that exist before the platform starts and after it stops. */
  static async use<T>(work: (monitor: WebhookMonitor) => Promise<T>): Promise<T> {
    const internal = await startWebhookReceiver();
    const receiver = await startWebhookReceiver();
    try {
      return await work(new WebhookMonitor(receiver, internal));
    } finally {
      await Promise.all([receiver.close(), internal.close()]);
    }
  }

  /** Allows the receiver by its port; the address that it redirects to is not allowed. */
  get env(): Record<string, string> {
    return { MILLRACE_WEBHOOK_ALLOW_HOSTS: this.allowed };
  }

  get allowed(): string {
    return `127.0.0.1:${this.receiver.port}`;
  }

  /** Sets how the endpoint of every event responds from now on. */
  setResponder(responder: Responder): void {
    this.responder = responder;
  }

  get endpointId(): string {
    return this.mainEndpointId;
  }

  /** Requests that were answered with a 2xx. */
  get accepted(): number {
    return this.acceptedIds.length;
  }

  get ids(): string[] {
    return this.received.map(({ headers }) => headers['webhook-id'] as string);
  }

  get signingSecrets(): string[] {
    return [...this.secrets.values()];
  }

  get count(): number {
    return this.received.length;
  }

  async register(client: OpenAI): Promise<void> {
    for (const path of ['hook', 'away']) {
      const endpoint = await client.post<WebhookEndpointObject>('/webhook_endpoints', {
        body: { name: path, url: new URL(path, this.receiver.url).href, event_types: ['batch.*'] },
      });
      this.secrets.set(path, endpoint.signing_secret!);
      if (path === 'hook') this.mainEndpointId = endpoint.id;
    }
  }

  private get received(): ReceivedRequest[] {
    return this.receiver.requests.filter(({ path }) => path === '/hook');
  }

  /** Waits until every event has arrived, then compares. @param kills processes that were killed while they sent requests. */
  async checks(
    database: DatabaseReader,
    kills: number,
  ): Promise<{ checks: Check[]; figures: Record<string, number> }> {
    const events = () => database.rows<{ id: string }>(`select id from events where type like 'batch.%'`);
    const accepted = () => new Set(this.acceptedIds);
    const began = performance.now();
    const arrival = new ProblemList('every event arrived');
    const hasAll = async () =>
      (await events()).every(({ id }) => accepted().has(id)) && (await this.countUndelivered(database)) === 0;
    await waitUntil(hasAll, { what: 'the events to arrive', withinMs: arriveWithinMs, everyMs: 250 }).catch(
      () => undefined,
    );
    const waitedMs = Math.round(performance.now() - began);
    const ids = accepted();
    const known = await events();
    for (const { id } of known) if (!ids.has(id)) arrival.add(`${id} never arrived`);
    const open = await this.countUndelivered(database);
    if (open > 0) arrival.add(`${open} deliveries have not succeeded`);
    const repeated = this.acceptedIds.length - ids.size;
    const checks = [
      arrival.toCheck(`${known.length} events, the last ${waitedMs} ms after the run`),
      this.checkSignaturesAndBodies(new Set(known.map(({ id }) => id))),
      await checkOneDelivery(database),
      {
        name: 'only requests that a killed process was sending arrived twice',
        holds: repeated <= kills * maxConcurrent,
        found: `${repeated} of ${this.acceptedIds.length} accepted requests were repeats, ${kills} kills`,
      },
      {
        name: 'a redirect to an internal address was not followed',
        holds: this.internal.requests.length === 0 && this.receiver.requests.length > this.received.length,
        found: `${this.receiver.requests.length - this.received.length} redirects, ${this.internal.requests.length} followed`,
      },
    ];
    return { checks, figures: { events: known.length, requests: this.received.length, repeated } };
  }

  /** @returns the longest time from an event's commit to its first arrival, in ms. */
  async getSlowestDeliveryMs(database: DatabaseReader): Promise<number> {
    const events = await database.rows<{ id: string; at: Date }>(
      `select id, created_at as at from events where type like 'batch.%'`,
    );
    const arrivals = new Map<string, number>();
    for (const { headers, at } of this.received) {
      const id = headers['webhook-id'] as string;
      arrivals.set(id, Math.min(arrivals.get(id) ?? Infinity, performance.timeOrigin + at));
    }
    return Math.round(
      Math.max(0, ...events.map(({ id, at }) => (arrivals.get(id) ?? Infinity) - at.getTime())),
    );
  }

  private async countUndelivered(database: DatabaseReader): Promise<number> {
    const { count } = await database.one<{ count: number }>(
      `select count(*) as count from deliveries where endpoint_id = $1 and status <> 'succeeded'`,
      [this.mainEndpointId],
    );
    return count;
  }

  /** Each request has a valid signature and the body of its event, on every attempt. */
  private checkSignaturesAndBodies(known: ReadonlySet<string>): Check {
    const problems = new ProblemList('one webhook-id per event, the same signed body on every attempt');
    const verifier = new Webhook(this.secrets.get('hook')!);
    const bodies = new Map<string, string>();
    for (const { headers, body } of this.received) {
      const id = headers['webhook-id'] as string;
      try {
        verifier.verify(body, headers as Record<string, string>);
      } catch (error) {
        problems.add(`${id}: ${(error as Error).message}`);
      }
      if (!known.has(id) || (JSON.parse(body) as { id: string }).id !== id)
        problems.add(`${id} is not the id of an event`);
      if ((bodies.get(id) ?? body) !== body) problems.add(`${id} had two bodies`);
      bodies.set(id, body);
    }
    return problems.toCheck(`${bodies.size} ids in ${this.received.length} requests`);
  }
}

async function checkOneDelivery(database: DatabaseReader): Promise<Check> {
  const problems = new ProblemList('one delivery for each event and endpoint');
  const rows = await database.rows<{ id: string; deliveries: number; endpoints: number }>(
    `select f.id, count(d.id) as deliveries, (select count(*) from webhook_endpoints) as endpoints
     from events f left join deliveries d on d.event_id = f.id
     where f.type like 'batch.%' group by f.id`,
  );
  for (const { id, deliveries, endpoints } of rows) {
    if (deliveries !== endpoints)
      problems.add(`${id} has ${deliveries} deliveries for ${endpoints} endpoints`);
  }
  return problems.toCheck(`${rows.length} events`);
}
