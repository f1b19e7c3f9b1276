/**
 * A receiver is down for three days, and the API is killed meanwhile. Time passes by moving back the timestamps of webhooks
 * in Postgres; the clock of every process stays as it is.
 */
import { once } from 'node:events';
import { respondWithStatus } from '../../support/webhook-receiver.ts';
import { waitUntil } from '../../support/platform.ts';
import { ProblemList } from '../checker/problem-list.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { Deployment } from '../deployment.ts';
import type { DatabaseReader } from '../database-reader.ts';
import { WebhookMonitor } from '../webhook-monitor.ts';

const hourS = 3_600;
const downS = 72 * hourS;
/** Attempts within three days: the first, and one after each wait of the schedule that ends by then. */
const attemptsWhileDown = 9;

export const webhookDays: Fault = {
  name: 'webhook-days',
  title: 'a receiver down for three days, and its API killed meanwhile',
  backends: ['embedded', 'redis'],
  run: (options) =>
    WebhookMonitor.use((monitor) =>
      Deployment.use(options, { workers: 1, env: monitor.env }, (deployment) =>
        runFault(deployment, monitor, options),
      ),
    ),
};

async function runFault(
  deployment: Deployment,
  monitor: WebhookMonitor,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const { platform, database } = deployment;
  await monitor.register(platform.client);
  monitor.setResponder(respondWithStatus(503));
  await deployment.submit({ lines: 3, delayMs: 1_500 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  for (let n = 1; n < (short ? 1 : 6); n++) await deployment.submit({ lines: random.between(1, 60) });
  await deployment.waitUntilEnded(120_000);
  const kills = short ? 1 : 4;
  // The waits of the schedule grow: half of the attempts are made within eight hours.
  const killAt = Array.from({ length: kills }, () => random.between(1, 8 * hourS)).sort((a, b) => a - b);
  let [passedS, steps] = [0, 0];
  const pass = async (waitS: number) => {
    await makeOlder(database, waitS);
    passedS += waitS;
    steps++;
  };
  for (;;) {
    const waitS = await waitForNextAttempt(database, monitor.endpointId);
    if (passedS + waitS > downS) break;
    await pass(waitS);
    if (killAt[0]! > passedS || killAt.length === 0) continue;
    killAt.shift();
    const exited = once(platform.api.child, 'exit');
    platform.api.child.kill('SIGKILL');
    await exited;
    await platform.restartApi();
  }
  const attempts = await listAttemptCounts(database, monitor.endpointId);
  const whileDown = checkWhileDown(attempts, monitor.accepted);
  monitor.setResponder(respondWithStatus(200));
  while ((await countPending(database, monitor.endpointId)) > 0)
    await pass(await waitForNextAttempt(database, monitor.endpointId));
  print(`${(passedS / hourS).toFixed(1)} h passed in ${steps} steps; ${monitor.count} requests`);
  const { checks, figures } = await monitor.checks(database, kills);
  const redelivery = await checkRedelivery(deployment, monitor);
  const invariants = await deployment.runChecker({ secrets: monitor.signingSecrets });
  const hours = Math.round(passedS / hourS);
  return {
    checks: [...invariants, ...checks, whileDown, redelivery],
    tables: [],
    figures: { ...figures, hours, steps, kills },
  };
}

/** Waits until no attempt is running. @returns seconds until the next attempt; 0 if no delivery is left. */
async function waitForNextAttempt(database: DatabaseReader, endpointId: string): Promise<number> {
  let waitS = 0;
  const isQuiet = async () => {
    const next = await database.one<{ busy: number; wait: number | null; left: number }>(
      `select count(*) filter (where leased_until > now()) as busy, count(*) as left,
         extract(epoch from greatest(min(next_attempt_at), max(e.paused_until)) - now())::float8 as wait
       from deliveries d join webhook_endpoints e on e.id = d.endpoint_id
       where d.status = 'pending' and d.endpoint_id = $1`,
      [endpointId],
    );
    waitS = Math.max(0, next.wait ?? 0);
    return next.left === 0 || (next.busy === 0 && next.wait! > 0.5);
  };
  // A delivery that a killed process was sending is available when its lease expires.
  await waitUntil(isQuiet, { what: 'due deliveries to be attempted', withinMs: 120_000, everyMs: 50 });
  return waitS;
}

async function makeOlder(database: DatabaseReader, seconds: number): Promise<void> {
  const older = (...columns: string[]) =>
    columns.map((column) => `${column} = ${column} - make_interval(secs => $1)`).join(', ');
  await database.rows(
    `update deliveries set ${older('next_attempt_at', 'created_at', 'finished_at')} where status = 'pending'`,
    [seconds],
  );
  await database.rows(
    `update webhook_endpoints set ${older('failing_since', 'last_failed_at', 'paused_until', 'rate_updated_at')}`,
    [seconds],
  );
}

const listAttemptCounts = (database: DatabaseReader, endpointId: string) =>
  database.rows<{ attempts: number; status: string }>(
    'select attempt_count as attempts, status from deliveries where endpoint_id = $1',
    [endpointId],
  );

async function countPending(database: DatabaseReader, endpointId: string): Promise<number> {
  return (await listAttemptCounts(database, endpointId)).filter(({ status }) => status === 'pending').length;
}

function checkWhileDown(
  deliveries: readonly { attempts: number; status: string }[],
  accepted: number,
): Check {
  const problems = new ProblemList('after three days every delivery is still pending');
  if (accepted > 0) problems.add(`${accepted} were accepted by a receiver that was down`);
  for (const { attempts, status } of deliveries)
    if (status !== 'pending') problems.add(`one is ${status} after ${attempts} attempts`);
  const most = Math.max(0, ...deliveries.map(({ attempts }) => attempts));
  if (most < attemptsWhileDown) problems.add(`no delivery has more than ${most} attempts`);
  return problems.toCheck(`${deliveries.length} deliveries, ${most} attempts at most`);
}

/** Redelivers one delivery by its id, then replays all: each request has the id of its event again. */
async function checkRedelivery({ platform, database }: Deployment, monitor: WebhookMonitor): Promise<Check> {
  const problems = new ProblemList('a redelivery has the id of the first delivery');
  const before = new Set(monitor.ids);
  const deliveries = await database.rows<{ id: string }>('select id from deliveries where endpoint_id = $1', [
    monitor.endpointId,
  ]);
  const at = `/webhook_endpoints/${monitor.endpointId}`;
  const count = monitor.accepted;
  await platform.client.post(`${at}/deliveries/${deliveries[0]!.id}/redeliver`);
  const arrived = (more: number) =>
    waitUntil(() => monitor.accepted >= count + more, {
      what: 'the redelivery to arrive',
      withinMs: 60_000,
    }).catch((error: Error) => problems.add(error.message));
  await arrived(1);
  await platform.client.post(`${at}/replay`, { body: { since: 0, include: 'all' } });
  await arrived(1 + deliveries.length);
  for (const id of monitor.ids) if (!before.has(id)) problems.add(`${id} is a new id`);
  return problems.toCheck(`1 redelivered, ${deliveries.length} replayed`);
}
