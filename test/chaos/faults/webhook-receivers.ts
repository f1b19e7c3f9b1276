/** Receivers that answer slowly, send 100 MB, reset, redirect to an internal address, or rebind their DNS name; a healthy receiver must not be affected. */
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
/** Expected outcome of each attempt, by the name of the endpoint. */
const expected: Readonly<Record<string, string>> = {
  slow: 'timeout',
  huge: '200',
  reset: 'connection_reset',
  away: 'redirect_refused',
  rebinding: 'url_address_refused',
  hook: '200',
};
/** About two socket buffers, much less than the response. */
const maxReceivedBytes = hugeBytes / 5;
/** Timeout of an attempt at a receiver that hangs. */
const attemptTimeoutMs = 15_000;

export const webhookReceivers: Fault = {
  name: 'webhook-receivers',
  title:
    'receivers that answer slowly, send 100 MB, reset, redirect to an internal address or rebind their DNS name',
  backends: ['embedded', 'redis'],
  run: (options) =>
    WebhookMonitor.use(async (monitor) => {
      const hostile = {
        slow: await startHostileReceiver(sendSlowly),
        huge: await startHostileReceiver(sendHugeBody),
        reset: await startHostileReceiver(resetConnection),
      };
      const internal = await listenOnInternalAddress();
      const ports = Object.values(hostile).map(({ port }) => `127.0.0.1:${port}`);
      const env = { MILLRACE_WEBHOOK_ALLOW_HOSTS: [monitor.allowed, ...ports].join() };
      try {
        return await Deployment.use(
          options,
          { workers: 1, env, apiNodeArgs: rebindingDnsArgs },
          (deployment) => runFault(deployment, monitor, { ...hostile, internal }, options),
        );
      } finally {
        for (const one of [...Object.values(hostile), internal]) await one.close();
      }
    }),
};

interface Hostile {
  readonly slow: HostileReceiver;
  readonly huge: HostileReceiver;
  readonly reset: HostileReceiver;
  readonly internal: Awaited<ReturnType<typeof listenOnInternalAddress>>;
}

async function runFault(
  deployment: Deployment,
  monitor: WebhookMonitor,
  hostile: Hostile,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const { platform, database } = deployment;
  await monitor.register(platform.client);
  const { slow, huge, reset } = hostile;
  const urls = { slow: slow.url, huge: huge.url, reset: reset.url, rebinding: `https://${rebindingHost}/` };
  const secrets: string[] = [];
  for (const [name, url] of Object.entries(urls)) {
    const body = { name, url, event_types: ['batch.*'] };
    const endpoint = await platform.client.post<WebhookEndpointObject>('/webhook_endpoints', { body });
    secrets.push(endpoint.signing_secret!);
  }
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 800 : 20_000), short ? 2 : 4));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  for (let n = 0; n < (short ? 6 : 40); n++) await deployment.submit({ lines: random.between(1, 60) });
  await deployment.waitUntilEnded(180_000);
  const { checks, figures } = await monitor.checks(database, 0);
  const allAttempted = async () => (await listOutcomes(database)).length >= Object.keys(expected).length;
  await waitUntil(allAttempted, { what: 'an attempt at each receiver', withinMs: 60_000 }).catch(
    () => undefined,
  );
  const outcomes = await listOutcomes(database);
  print(outcomes.map(({ name, outcome, count }) => `${name} ${outcome} ×${count}`).join(', '));
  const slowestMs = await monitor.getSlowestDeliveryMs(database);
  const invariants = await deployment.runChecker({ secrets: [...monitor.signingSecrets, ...secrets] });
  const ownChecks = [
    checkOutcomes(outcomes),
    checkReceivedBytes(huge),
    checkNoInternalRequest(hostile.internal.count()),
    checkHealthyReceiver(slowestMs),
  ];
  return { checks: [...invariants, ...checks, ...ownChecks], tables: [], figures: { ...figures, slowestMs } };
}

interface Outcome {
  readonly name: string;
  readonly outcome: string;
  readonly count: number;
}

const listOutcomes = (database: DatabaseReader): Promise<Outcome[]> =>
  database.rows<Outcome>(
    `select e.name, coalesce(a.error_code, a.status::text) as outcome, count(*) as count
     from delivery_attempts a join deliveries d on d.id = a.delivery_id join webhook_endpoints e on e.id = d.endpoint_id
     group by 1, 2 order by 1, 2`,
  );

function checkOutcomes(outcomes: readonly Outcome[]): Check {
  const problems = new ProblemList('each attempt has the expected outcome');
  for (const [name, outcome] of Object.entries(expected)) {
    const found = outcomes.filter((one) => one.name === name).map((one) => one.outcome);
    if (found.join() !== outcome)
      problems.add(`${name}: ${found.join() || 'no attempt'} instead of ${outcome}`);
  }
  return problems.toCheck(
    `${outcomes.reduce((sum, { count }) => sum + count, 0)} attempts at ${outcomes.length} receivers`,
  );
}

function checkReceivedBytes(huge: HostileReceiver): Check {
  return {
    name: 'only the beginning of a response of 100 MB is received',
    holds: huge.countRequests() > 0 && huge.getMaxBytesSent() < maxReceivedBytes,
    found: `${huge.countRequests()} requests, ${huge.getMaxBytesSent()} bytes at most`,
  };
}

function checkNoInternalRequest(count: number | null): Check {
  return {
    name: 'no request went to the internal address of a rebound DNS name',
    holds: (count ?? 0) === 0,
    found:
      count === null ? 'checked by the outcomes only; port 443 is not available' : `${count} connections`,
  };
}

function checkHealthyReceiver(slowestMs: number): Check {
  return {
    name: 'the healthy receiver did not wait for the others',
    holds: slowestMs < attemptTimeoutMs,
    found: `${slowestMs} ms from the commit of the slowest event to its arrival`,
  };
}
