/**
 * A hundred events a second to twenty endpoints, one endpoint for each event. Measures the time from the commit to the
 * receiver, first with all receivers healthy, then with two that hang and one that answers 500. The two cases alternate in
 * one run, so that other load on the machine affects both; the variation between turns of one case shows which difference
 * between the cases is significant. Then a burst of events. The receivers are in this process, so that one clock measures
 * both ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createId, type WebhookEndpointObject } from '@millrace/contracts';
import { connectBus, type Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { waitUntil } from '../support/platform.ts';
import {
  startWebhookReceiver,
  respondWithStatus,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts';
import { withDeployment, type Deployment } from './deployment.ts';
import { cpuSeconds } from './process-usage.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const endpoints = 20;
const [hanging, failing] = [2, 1];
const perSecond = 100;
/** Turns of each case, and their duration in seconds: longer than the timeout of an attempt. */
const turns = 6;
const turnS = 20;
const defaultBurst = 10_000;

export const webhooks: Benchmark = {
  name: 'webhooks',
  title: `${perSecond} events a second to ${endpoints} endpoints: all healthy, and with ${hanging} that hang and ${failing} that answers 500; then a burst`,
  run: (options) =>
    withDeployment({ ...options, env: { MILLRACE_WEBHOOK_ALLOW_HOSTS: '127.0.0.1' } }, async (deps) => {
      const receivers = await Promise.all([
        startWebhookReceiver(),
        startWebhookReceiver(),
        startWebhookReceiver(),
      ]);
      const [receiver, other, broken] = receivers;
      const events = await openEventWriter(deps);
      try {
        return await measure(deps, { receiver, other, broken, events }, options);
      } finally {
        await events.close();
        await Promise.all(receivers.map((one) => one.close()));
      }
    }),
};

interface Receivers {
  readonly receiver: WebhookReceiver;
  readonly other: WebhookReceiver;
  readonly broken: WebhookReceiver;
  readonly events: EventWriter;
}

async function measure(
  deps: Deployment,
  receivers: Receivers,
  { print, lines }: BenchOptions,
): Promise<Figures> {
  const { receiver, other, broken, events } = receivers;
  const healthy = endpoints - hanging - failing;
  const bind = (to: WebhookReceiver, count: number) =>
    Promise.all(Array.from({ length: count }, (_, nth) => bindEndpoint(deps, events, `${to.url}/${nth}`)));
  const subjects = await bind(receiver, healthy);
  // In the turns of the healthy case, spare endpoints replace the failing ones. Neither is measured.
  const [spare, bad] = [await bind(other, hanging + failing), await bind(broken, hanging + failing)];
  broken.respondWith((response, one, nth) => {
    if (one.path.endsWith(`/${hanging}`)) respondWithStatus(500)(response, one, nth);
  });
  const api = deps.processes.find(({ name }) => name === 'api')!.pid;
  await measureSteady(receivers, subjects, spare, 2); // warm-up: connections, query plans and caches
  const [without, beside]: [number[][], number[][]] = [[], []];
  for (let turn = 0; turn < turns; turn++) {
    without.push(await measureSteady(receivers, subjects, spare, turnS));
    await events.rows('update webhook_endpoints set paused_until = null where subject = any($1)', [bad]);
    beside.push(await measureSteady(receivers, subjects, bad, turnS));
    await events.rows(`update webhook_endpoints set paused_until = 'infinity' where subject = any($1)`, [
      bad,
    ]);
    print(
      `turn ${turn + 1} of ${turns}: p99 ${rounded(quantile(without.at(-1)!, 0.99), 1)} ms with healthy receivers, ${rounded(quantile(beside.at(-1)!, 0.99), 1)} ms beside failing ones`,
    );
  }

  const burst = lines ?? defaultBurst;
  receiver.requests.length = 0;
  const cpu = cpuSeconds(api);
  const began = performance.now();
  await events.write(Array.from({ length: burst }, (_, nth) => subjects[nth % healthy]!));
  const committed = performance.now();
  await waitUntil(() => receiver.requests.length >= burst, {
    what: 'the burst to arrive',
    withinMs: 300_000,
  });
  const drained = (receiver.requests.at(-1)!.at - began) / 1_000;
  const ids = new Set(receiver.listEventIds());
  if (ids.size !== burst) throw new Error(`${ids.size} events of ${burst} arrived`);

  const [healthyMs, besideMs] = [without.flat(), beside.flat()];
  const spread = (of: readonly number[][]) => {
    const all = of.map((times) => quantile(times, 0.99));
    return `${rounded(Math.min(...all), 1)}–${rounded(Math.max(...all), 1)}`;
  };
  const rows = (
    [
      [`${endpoints} healthy`, without, healthyMs],
      [`${hanging} hang, ${failing} fails`, beside, besideMs],
    ] as const
  ).map(([name, each, all]) => [
    name,
    all.length,
    ...[0.5, 0.99].map((share) => rounded(quantile(all, share), 1)),
    spread(each),
    rounded(quantile(all, 1), 1),
  ]);
  const columns = [
    'commit to arrival at the healthy ones, ms',
    'events',
    'p50',
    'p99',
    'p99 of the turns',
    'max',
  ];
  printTable(columns, rows, print);
  const each = burst / drained;
  print(
    `\nburst: ${burst} events, committed in ${rounded((committed - began) / 1_000, 2)} s, arrived in ${rounded(drained, 2)} s`,
  );
  print(
    `${rounded(each)} deliveries/s, ${rounded(((cpuSeconds(api) - cpu) / burst) * 1e6)} µs of the API’s CPU each`,
  );
  return {
    p50_ms: rounded(quantile(healthyMs, 0.5), 1),
    p99_ms: rounded(quantile(healthyMs, 0.99), 1),
    p50_ms_with_bad: rounded(quantile(besideMs, 0.5), 1),
    p99_ms_with_bad: rounded(quantile(besideMs, 0.99), 1),
    p50_ratio: rounded(quantile(besideMs, 0.5) / quantile(healthyMs, 0.5), 2),
    p99_ratio: rounded(quantile(besideMs, 0.99) / quantile(healthyMs, 0.99), 2),
    burst,
    burst_seconds: rounded(drained, 2),
    burst_deliveries_per_second: rounded(each),
  };
}

/** @param measured subjects of the healthy endpoints. @returns the times from commit to arrival there, in ms. */
async function measureSteady(
  { receiver, events }: Receivers,
  measured: readonly string[],
  others: readonly string[],
  forS: number,
): Promise<number[]> {
  receiver.requests.length = 0;
  const sentAt = new Map<string, number>();
  const begin = performance.now();
  const [subjects, healthy] = [[...measured, ...others], new Set(measured)];
  const writing: Promise<void>[] = [];
  for (let nth = 0; nth < perSecond * forS; nth++) {
    await sleep(Math.max(0, begin + (nth * 1_000) / perSecond - performance.now()));
    const subject = subjects[nth % endpoints]!;
    const at = performance.now();
    writing.push(
      events.write([subject]).then(([id]) => {
        if (healthy.has(subject)) sentAt.set(id!, at);
      }),
    );
  }
  await Promise.all(writing);
  const allArrived = () => receiver.requests.length >= sentAt.size;
  await waitUntil(allArrived, { what: 'the last events to arrive', withinMs: 30_000 });
  const arrivals = new Map(receiver.requests.map(({ headers, at }) => [headers['webhook-id'] as string, at]));
  return [...sentAt].map(([id, at]) => arrivals.get(id)! - at);
}

const quantile = (times: readonly number[], share: number): number => {
  const all = times.toSorted((a, b) => a - b);
  return all[Math.min(all.length - 1, Math.floor(all.length * share))]!;
};

/** Creates an endpoint for one subject of the benchmark. @returns the subject */
async function bindEndpoint(deps: Deployment, events: EventWriter, url: string): Promise<string> {
  const { id } = await deps.client.post<WebhookEndpointObject>('/webhook_endpoints', {
    body: { name: 'bench', url, event_types: ['*'] },
  });
  const subject = createId('batch');
  await events.rows('update webhook_endpoints set subject = $2 where id = $1', [id, subject]);
  return subject;
}

interface EventWriter {
  /** Commits one event for each of these subjects in one statement, and publishes the message. @returns their ids. */
  write(subjects: readonly string[]): Promise<string[]>;
  rows(sql: string, parameters?: unknown[]): Promise<unknown[]>;
  close(): Promise<void>;
}

async function openEventWriter({ databaseUrl, redisUrl }: Deployment): Promise<EventWriter> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  const log = createLogger('bench', 'warn');
  const at = redisUrl
    ? ({ kind: 'redis', url: redisUrl } as const)
    : ({ kind: 'postgres', url: databaseUrl } as const);
  const bus: Bus = await connectBus(at, { log });
  const [workspace] = (await pool.query<{ id: string }>('select id from workspaces limit 1')).rows;
  const sequences = new Map<string, number>();
  const next = (subject: string) => {
    sequences.set(subject, (sequences.get(subject) ?? 0) + 1);
    return sequences.get(subject)!;
  };
  return {
    async write(subjects) {
      const ids = subjects.map(() => createId('event'));
      await pool.query(
        `insert into events (id, workspace_id, subject, sequence, type, data)
         select id, $2, subject, sequence, 'batch.progress', jsonb_build_object('id', subject)
         from unnest($1::text[], $3::text[], $4::int[]) as f (id, subject, sequence)`,
        [ids, workspace!.id, subjects, subjects.map(next)],
      );
      void bus.publish('events.committed', {});
      return ids;
    },
    rows: async (sql, parameters = []) => (await pool.query(sql, parameters)).rows,
    async close() {
      await bus.close();
      await pool.end();
    },
  };
}
