/** Receivers that drip, flood, reset, redirect inwards, or whose name turns inwards, beside a sound one that must not notice. */
import { fileURLToPath } from 'node:url';
import type { WebhookEndpointObject } from '@millrace/contracts';
import {
  sendSlowly,
  sendHugeBody,
  hugeBytes,
  resetConnection,
  startHostileReceiver,
  type HostileReceiver,
} from '../../support/hostile-receiver.ts';
import { waitUntil } from '../../support/platform.ts';
import { ProblemList } from '../checker/problem-list.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import type { DatabaseReader } from '../database-reader.ts';
import { listenOnInternalAddress, rebindingHost } from '../dns-rebinding.ts';
import { WebhookMonitor } from '../webhook-monitor.ts';

const rebindingDnsArgs = ['--import', fileURLToPath(new URL('../preload/rebinding-dns.js', import.meta.url))];
/** What each try comes to, by the endpoint's name. */
const expected: Readonly<Record<string, string>> = {
  drip: 'timeout',
  flood: '200',
  reset: 'connection_reset',
  away: 'redirect_refused',
  turning: 'url_address_refused',
  hook: '200',
};
/** Two socket buffers' worth, far less than the answer. */
const mostOfAnswer = hugeBytes / 5;
/** One try of a receiver that hangs. */
const tryMs = 15_000;

export const webhookReceivers: Fault = {
  name: 'webhook-receivers',
  title: 'receivers that drip, flood, reset, redirect inwards, or whose name turns inwards',
  backends: ['embedded', 'redis'],
  run: (options) =>
    WebhookMonitor.during(async (watch) => {
      const hostile = {
        drip: await startHostileReceiver(sendSlowly),
        flood: await startHostileReceiver(sendHugeBody),
        reset: await startHostileReceiver(resetConnection),
      };
      const inside = await listenOnInternalAddress();
      const ports = Object.values(hostile).map(({ port }) => `127.0.0.1:${port}`);
      const env = { MILLRACE_WEBHOOK_ALLOW_HOSTS: [watch.allowed, ...ports].join() };
      try {
        return await Deployment.use(
          options,
          { workers: 1, env, apiNodeArgs: rebindingDnsArgs },
          (deployment) => runFault(deployment, watch, { ...hostile, inside }, options),
        );
      } finally {
        for (const one of [...Object.values(hostile), inside]) await one.close();
      }
    }),
};

interface Hostile {
  readonly drip: HostileReceiver;
  readonly flood: HostileReceiver;
  readonly reset: HostileReceiver;
  readonly inside: Awaited<ReturnType<typeof listenOnInternalAddress>>;
}

async function runFault(
  deployment: Deployment,
  watch: WebhookMonitor,
  hostile: Hostile,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const { platform, database } = deployment;
  await watch.register(platform.client);
  const { drip, flood, reset } = hostile;
  const urls = { drip: drip.url, flood: flood.url, reset: reset.url, turning: `https://${rebindingHost}/` };
  const secrets: string[] = [];
  for (const [name, url] of Object.entries(urls)) {
    const body = { name, url, event_types: ['batch.*'] };
    const made = await platform.client.post<WebhookEndpointObject>('/webhook_endpoints', { body });
    secrets.push(made.signing_secret!);
  }
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 800 : 20_000), short ? 2 : 4));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  for (let n = 0; n < (short ? 6 : 40); n++) await deployment.submit({ lines: random.between(1, 60) });
  await deployment.waitUntilEnded(180_000);
  const { checks, figures } = await watch.checks(database, 0);
  const allTried = async () => (await outcomes(database)).length >= Object.keys(expected).length;
  await waitUntil(allTried, { what: 'a try at each receiver', withinMs: 60_000 }).catch(() => undefined);
  const tries = await outcomes(database);
  print(tries.map(({ name, outcome, count }) => `${name} ${outcome} ×${count}`).join(', '));
  const slowestMs = await watch.slowestMs(database);
  const invariants = await deployment.runChecker({ secrets: [...watch.signingSecrets, ...secrets] });
  const own = [
    eachAsExpected(tries),
    sparedOf(flood),
    noneInside(hostile.inside.count()),
    notHeldUp(slowestMs),
  ];
  return { checks: [...invariants, ...checks, ...own], tables: [], figures: { ...figures, slowestMs } };
}

interface Outcome {
  readonly name: string;
  readonly outcome: string;
  readonly count: number;
}

const outcomes = (database: DatabaseReader): Promise<Outcome[]> =>
  database.rows<Outcome>(
    `select e.name, coalesce(a.error_code, a.status::text) as outcome, count(*) as count
     from delivery_attempts a join deliveries d on d.id = a.delivery_id join webhook_endpoints e on e.id = d.endpoint_id
     group by 1, 2 order by 1, 2`,
  );

function eachAsExpected(tries: readonly Outcome[]): Check {
  const problems = new ProblemList('each try is judged for what it came to');
  for (const [name, outcome] of Object.entries(expected)) {
    const found = tries.filter((one) => one.name === name).map((one) => one.outcome);
    if (found.join() !== outcome) problems.add(`${name}: ${found.join() || 'no try'} instead of ${outcome}`);
  }
  return problems.toCheck(
    `${tries.reduce((sum, { count }) => sum + count, 0)} tries at ${tries.length} receivers`,
  );
}

function sparedOf(flood: HostileReceiver): Check {
  return {
    name: 'of an answer of 100 MB little is received',
    holds: flood.countRequests() > 0 && flood.getMaxBytesSent() < mostOfAnswer,
    found: `${flood.countRequests()} requests, ${flood.getMaxBytesSent()} bytes at most`,
  };
}

function noneInside(count: number | null): Check {
  return {
    name: 'nobody went to the internal address that a name had turned to',
    holds: (count ?? 0) === 0,
    found: count === null ? 'by the log of tries; port 443 is not to be had here' : `${count} connections`,
  };
}

function notHeldUp(slowestMs: number): Check {
  return {
    name: 'the sound receiver waited for none of the others',
    holds: slowestMs < tryMs,
    found: `${slowestMs} ms from the slowest fact to its arrival`,
  };
}
