/**
 * Twenty endpoints, a hundred facts a second, each for one of them: how long from the commit to the receiver, first
 * with all of them sound, then with two that hang and one that answers 500. Then a burst that is drained. Sockets from
 * here, the receivers in this process: one clock measures both ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { newId, type WebhookEndpointObject } from '#contracts';
import { connectBus, type Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { until } from '../support/platform.ts';
import { startReceiver, withStatus, type Receiver } from '../support/receiver.ts';
import { onGrounds, type Grounds } from './grounds.ts';
import { cpuSeconds } from './processes.ts';
import { rounded, type BenchOptions, type Figures, type Scenario } from './scenario.ts';
import { printTable } from './table.ts';

const endpoints = 20;
const [hanging, failing] = [2, 1];
const perSecond = 100;
const seconds = 20;
const usualBurst = 10_000;

export const webhooks: Scenario = {
  name: 'webhooks',
  title: `${perSecond} facts a second to ${endpoints} endpoints, without and with ${hanging} that hang and ${failing} that fails; then a burst`,
  run: (options) =>
    onGrounds({ ...options, env: { MILLRACE_WEBHOOK_ALLOW_HOSTS: '127.0.0.1' } }, async (on) => {
      const [receiver, broken] = await Promise.all([startReceiver(), startReceiver()]);
      const facts = await openFacts(on);
      try {
        return await measure(on, { receiver, broken, facts }, options);
      } finally {
        await facts.close();
        await Promise.all([receiver.close(), broken.close()]);
      }
    }),
};

interface Stage {
  readonly receiver: Receiver;
  readonly broken: Receiver;
  readonly facts: Facts;
}

async function measure(on: Grounds, stage: Stage, { say, lines }: BenchOptions): Promise<Figures> {
  const { receiver, broken, facts } = stage;
  const subjects: string[] = [];
  const sound = endpoints - hanging - failing;
  for (let nth = 0; nth < endpoints; nth++) {
    const to = nth < sound ? receiver : broken;
    subjects.push(await bindEndpoint(on, facts, `${to.url}/${nth}`));
  }
  const api = on.processes.find(({ name }) => name === 'api')!.pid;
  await steady(stage, subjects, 2); // connections, plans and caches are there from now on
  // Before and after what is compared with it: what else the machine does meets both.
  const before = await steady(stage, subjects, seconds / 2);
  broken.answer((response, one, nth) => {
    if (one.path.endsWith(`/${endpoints - 1}`)) withStatus(500)(response, one, nth);
  });
  const beside = await steady(stage, subjects, seconds);
  broken.answer(withStatus(200));
  await facts.rows(`update webhook_endpoints set failures = 0, paused_until = null`);
  const after = await steady(stage, subjects, seconds / 2);
  const without = [...before, ...after];

  const burst = lines ?? usualBurst;
  receiver.received.length = 0;
  const cpu = cpuSeconds(api);
  const began = performance.now();
  await facts.write(Array.from({ length: burst }, (_, nth) => subjects[nth % sound]!));
  const committed = performance.now();
  await until(() => receiver.received.length >= burst, { what: 'the burst to arrive', withinMs: 300_000 });
  const drained = (receiver.received.at(-1)!.at - began) / 1_000;
  const ids = new Set(receiver.ids());
  if (ids.size !== burst) throw new Error(`${ids.size} events of ${burst} arrived`);

  const rows = (
    [
      [`${endpoints} sound`, without],
      [`${hanging} hang, ${failing} fails`, beside],
    ] as const
  ).map(([name, all]) => [
    name,
    all.length,
    ...[0.5, 0.99, 1].map((share) => rounded(quantile(all, share), 1)),
  ]);
  printTable(['fact to arrival at the sound ones, ms', 'facts', 'p50', 'p99', 'most'], rows, say);
  const each = burst / drained;
  say(
    `\nburst: ${burst} facts, committed in ${rounded((committed - began) / 1_000, 2)} s, arrived in ${rounded(drained, 2)} s`,
  );
  say(
    `${rounded(each)} deliveries/s, ${rounded(((cpuSeconds(api) - cpu) / burst) * 1e6)} µs of the API’s CPU each`,
  );
  return {
    p50_ms: rounded(quantile(without, 0.5), 1),
    p99_ms: rounded(quantile(without, 0.99), 1),
    p50_ms_with_bad: rounded(quantile(beside, 0.5), 1),
    p99_ms_with_bad: rounded(quantile(beside, 0.99), 1),
    p50_ratio: rounded(quantile(beside, 0.5) / quantile(without, 0.5), 2),
    p99_ratio: rounded(quantile(beside, 0.99) / quantile(without, 0.99), 2),
    burst,
    burst_seconds: rounded(drained, 2),
    burst_deliveries_per_second: rounded(each),
  };
}

/** @returns the times from commit to arrival at the sound endpoints, in ms, sorted. */
async function steady(
  { receiver, facts }: Stage,
  subjects: readonly string[],
  forS: number,
): Promise<number[]> {
  receiver.received.length = 0;
  const sentAt = new Map<string, number>();
  const begin = performance.now();
  const sound = new Set(subjects.slice(0, endpoints - hanging - failing));
  const writing: Promise<void>[] = [];
  for (let nth = 0; nth < perSecond * forS; nth++) {
    await sleep(Math.max(0, begin + (nth * 1_000) / perSecond - performance.now()));
    const subject = subjects[nth % endpoints]!;
    const at = performance.now();
    writing.push(
      facts.write([subject]).then(([id]) => {
        if (sound.has(subject)) sentAt.set(id!, at);
      }),
    );
  }
  await Promise.all(writing);
  const isThere = () => receiver.received.length >= sentAt.size;
  await until(isThere, { what: 'the last facts to arrive', withinMs: 30_000 });
  const arrivals = new Map(receiver.received.map(({ headers, at }) => [headers['webhook-id'] as string, at]));
  return [...sentAt].map(([id, at]) => arrivals.get(id)! - at).sort((a, b) => a - b);
}

const quantile = (sorted: readonly number[], share: number): number => {
  const all = sorted.toSorted((a, b) => a - b);
  return all[Math.min(all.length - 1, Math.floor(all.length * share))]!;
};

/** An endpoint for one subject of the bench's own. */
async function bindEndpoint(on: Grounds, facts: Facts, url: string): Promise<string> {
  const { id } = await on.client.post<WebhookEndpointObject>('/webhook_endpoints', {
    body: { name: 'bench', url, event_types: ['*'] },
  });
  const subject = newId('batch');
  await facts.rows('update webhook_endpoints set subject = $2 where id = $1', [id, subject]);
  return subject;
}

interface Facts {
  /** Commits one fact for each of these subjects, in one statement, and says so. @returns their ids. */
  write(subjects: readonly string[]): Promise<string[]>;
  rows(sql: string, parameters?: unknown[]): Promise<unknown[]>;
  close(): Promise<void>;
}

async function openFacts({ databaseUrl, redisUrl }: Grounds): Promise<Facts> {
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
      const ids = subjects.map(() => newId('event'));
      await pool.query(
        `insert into events (id, workspace_id, subject, sequence, type, data)
         select id, $2, subject, sequence, 'batch.progress', jsonb_build_object('id', subject)
         from unnest($1::text[], $3::text[], $4::int[]) as f (id, subject, sequence)`,
        [ids, workspace!.id, subjects, subjects.map(next)],
      );
      void bus.announce('facts.written', {});
      return ids;
    },
    rows: async (sql, parameters = []) => (await pool.query(sql, parameters)).rows,
    async close() {
      await bus.close();
      await pool.end();
    },
  };
}
