/**
 * The receiving end of a fault run: an endpoint for every event, one whose receiver redirects to where nothing may
 * arrive, and what must hold between the events that Postgres has and what came.
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

/** A try that a dead process had in hand is repeated when its lease (20 s) is over. */
const arriveWithinMs = 60_000;
/** Requests to one endpoint that one process has under way at most: what a kill may make come twice. */
const inHand = 16;

export class WebhookMonitor {
  private readonly secrets = new Map<string, string>();
  private hook = '';
  /** Ids that were answered with a 2xx, once for each time. */
  private readonly taken: string[] = [];
  private answering = respondWithStatus(200);

  private constructor(
    private readonly receiver: WebhookReceiver,
    private readonly inside: WebhookReceiver,
  ) {
    receiver.respondWith((response, one, nth) => {
      if (!one.path.startsWith('/hook'))
        return respondWithStatus(307, { location: inside.url })(response, one, nth);
      this.answering(response, one, nth);
      if (response.statusCode < 300) this.taken.push(one.headers['webhook-id'] as string);
    });
  }

  /** Plays with receivers that are there before the platform is and after it has gone. */
  static async during<T>(play: (watch: WebhookMonitor) => Promise<T>): Promise<T> {
    const inside = await startWebhookReceiver();
    const receiver = await startWebhookReceiver();
    try {
      return await play(new WebhookMonitor(receiver, inside));
    } finally {
      await Promise.all([receiver.close(), inside.close()]);
    }
  }

  /** The one receiver is allowed, by its port; the address that it redirects to is not. */
  get env(): Record<string, string> {
    return { MILLRACE_WEBHOOK_ALLOW_HOSTS: this.allowed };
  }

  get allowed(): string {
    return `127.0.0.1:${this.receiver.port}`;
  }

  /** What the receiver of every event says from now on. */
  hookAnswers(how: Responder): void {
    this.answering = how;
  }

  get hookId(): string {
    return this.hook;
  }

  /** Requests that were answered with a 2xx. */
  get accepted(): number {
    return this.taken.length;
  }

  get ids(): string[] {
    return this.hooked.map(({ headers }) => headers['webhook-id'] as string);
  }

  get signingSecrets(): string[] {
    return [...this.secrets.values()];
  }

  get count(): number {
    return this.hooked.length;
  }

  async register(client: OpenAI): Promise<void> {
    for (const path of ['hook', 'away']) {
      const made = await client.post<WebhookEndpointObject>('/webhook_endpoints', {
        body: { name: path, url: new URL(path, this.receiver.url).href, event_types: ['batch.*'] },
      });
      this.secrets.set(path, made.signing_secret!);
      if (path === 'hook') this.hook = made.id;
    }
  }

  private get hooked(): ReceivedRequest[] {
    return this.receiver.requests.filter(({ path }) => path === '/hook');
  }

  /** Waits for what has not arrived, then compares. @param kills processes that died with requests in hand. */
  async checks(
    database: DatabaseReader,
    kills: number,
  ): Promise<{ checks: Check[]; figures: Record<string, number> }> {
    const events = () => database.rows<{ id: string }>(`select id from events where type like 'batch.%'`);
    const came = () => new Set(this.taken);
    const began = performance.now();
    const arrival = new ProblemList('every event arrived');
    const isThere = async () =>
      (await events()).every(({ id }) => came().has(id)) && (await this.open(database)) === 0;
    await waitUntil(isThere, { what: 'the events to arrive', withinMs: arriveWithinMs, everyMs: 250 }).catch(
      () => undefined,
    );
    const waitedMs = Math.round(performance.now() - began);
    const ids = came();
    const known = await events();
    for (const { id } of known) if (!ids.has(id)) arrival.add(`${id} never came`);
    const open = await this.open(database);
    if (open > 0) arrival.add(`${open} deliveries are not done`);
    const repeated = this.taken.length - ids.size;
    const checks = [
      arrival.toCheck(`${known.length} events, the last ${waitedMs} ms after the run`),
      this.sameOnEveryTry(new Set(known.map(({ id }) => id))),
      await oneDelivery(database),
      {
        name: 'what came twice is what a process had in hand when it died',
        holds: repeated <= kills * inHand,
        found: `${repeated} of ${this.taken.length} that were taken repeat another, ${kills} kills`,
      },
      {
        name: 'nothing went to an internal address, though a receiver redirected there',
        holds: this.inside.requests.length === 0 && this.receiver.requests.length > this.hooked.length,
        found: `${this.receiver.requests.length - this.hooked.length} redirects, ${this.inside.requests.length} followed`,
      },
    ];
    return { checks, figures: { events: known.length, requests: this.hooked.length, repeated } };
  }

  /** @returns the longest from an event's commit to its first arrival, in ms. */
  async slowestMs(database: DatabaseReader): Promise<number> {
    const events = await database.rows<{ id: string; at: Date }>(
      `select id, created_at as at from events where type like 'batch.%'`,
    );
    const arrivals = new Map<string, number>();
    for (const { headers, at } of this.hooked) {
      const id = headers['webhook-id'] as string;
      arrivals.set(id, Math.min(arrivals.get(id) ?? Infinity, performance.timeOrigin + at));
    }
    return Math.round(
      Math.max(0, ...events.map(({ id, at }) => (arrivals.get(id) ?? Infinity) - at.getTime())),
    );
  }

  private async open(database: DatabaseReader): Promise<number> {
    const { count } = await database.one<{ count: number }>(
      `select count(*) as count from deliveries where endpoint_id = $1 and status <> 'succeeded'`,
      [this.hook],
    );
    return count;
  }

  /** Each request is signed, and says what its event says, whichever try it is. */
  private sameOnEveryTry(known: ReadonlySet<string>): Check {
    const problems = new ProblemList('one webhook-id per fact, the same signed body on every try');
    const verifier = new Webhook(this.secrets.get('hook')!);
    const bodies = new Map<string, string>();
    for (const { headers, body } of this.hooked) {
      const id = headers['webhook-id'] as string;
      try {
        verifier.verify(body, headers as Record<string, string>);
      } catch (error) {
        problems.add(`${id}: ${(error as Error).message}`);
      }
      if (!known.has(id) || (JSON.parse(body) as { id: string }).id !== id)
        problems.add(`${id} is no event's`);
      if ((bodies.get(id) ?? body) !== body) problems.add(`${id} had two bodies`);
      bodies.set(id, body);
    }
    return problems.toCheck(`${bodies.size} ids in ${this.hooked.length} requests`);
  }
}

async function oneDelivery(database: DatabaseReader): Promise<Check> {
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
