/**
 * A receiver is down for three days, and the API that knows of it is killed meanwhile. Time passes by making older what
 * Postgres holds of webhooks: the clock of every process goes on as it was, and all that is due later is due sooner.
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
/** Tries by then: at once, and after each wait of the schedule that ends within three days. */
const triesByThen = 9;

export const webhookDays: Fault = {
  name: 'webhook-days',
  title: 'a receiver down for three days, and its API killed meanwhile',
  backends: ['embedded', 'redis'],
  run: (options) =>
    WebhookMonitor.during((watch) =>
      Deployment.use(options, { workers: 1, env: watch.env }, (deployment) =>
        runFault(deployment, watch, options),
      ),
    ),
};

async function runFault(
  deployment: Deployment,
  watch: WebhookMonitor,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const { platform, database } = deployment;
  await watch.register(platform.client);
  watch.hookAnswers(respondWithStatus(503));
  await deployment.submit({ lines: 3, delayMs: 1_500 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  for (let n = 1; n < (short ? 1 : 6); n++) await deployment.submit({ lines: random.between(1, 60) });
  await deployment.waitUntilEnded(120_000);
  const kills = short ? 1 : 4;
  // The schedule's waits grow: half of its tries are over after eight hours.
  const killAt = Array.from({ length: kills }, () => random.between(1, 8 * hourS)).sort((a, b) => a - b);
  let [passedS, steps] = [0, 0];
  const pass = async (waitS: number) => {
    await makeOlder(database, waitS);
    passedS += waitS;
    steps++;
  };
  for (;;) {
    const waitS = await untilNext(database, watch.hookId);
    if (passedS + waitS > downS) break;
    await pass(waitS);
    if (killAt[0]! > passedS || killAt.length === 0) continue;
    killAt.shift();
    const exited = once(platform.api.child, 'exit');
    platform.api.child.kill('SIGKILL');
    await exited;
    await platform.restartApi();
  }
  const tries = await listAttemptCounts(database, watch.hookId);
  const whileDown = downCheck(tries, watch.accepted);
  watch.hookAnswers(respondWithStatus(200));
  while ((await pending(database, watch.hookId)) > 0) await pass(await untilNext(database, watch.hookId));
  print(`${(passedS / hourS).toFixed(1)} h passed in ${steps} steps; ${watch.count} requests`);
  const { checks, figures } = await watch.checks(database, kills);
  const again = await replayed(deployment, watch);
  const invariants = await deployment.runChecker({ secrets: watch.signingSecrets });
  const hours = Math.round(passedS / hourS);
  return {
    checks: [...invariants, ...checks, whileDown, again],
    tables: [],
    figures: { ...figures, hours, steps, kills },
  };
}

/** Waits until nothing is under way. @returns seconds until the endpoint may be tried next; 0: it has all. */
async function untilNext(database: DatabaseReader, endpointId: string): Promise<number> {
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
  // One that a killed process had in hand is free when its lease is over.
  await waitUntil(isQuiet, { what: 'what is due to be tried', withinMs: 120_000, everyMs: 50 });
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

async function pending(database: DatabaseReader, endpointId: string): Promise<number> {
  return (await listAttemptCounts(database, endpointId)).filter(({ status }) => status === 'pending').length;
}

function downCheck(deliveries: readonly { attempts: number; status: string }[], accepted: number): Check {
  const problems = new ProblemList('after three days every delivery is still on its way');
  if (accepted > 0) problems.add(`${accepted} were accepted by a receiver that was down`);
  for (const { attempts, status } of deliveries)
    if (status !== 'pending') problems.add(`one is ${status} after ${attempts} attempts`);
  const most = Math.max(0, ...deliveries.map(({ attempts }) => attempts));
  if (most < triesByThen) problems.add(`none was tried more than ${most} times`);
  return problems.toCheck(`${deliveries.length} deliveries, ${most} attempts at most`);
}

/** One by its id, then all of them as a range: each under the id that it had. */
async function replayed({ platform, database }: Deployment, watch: WebhookMonitor): Promise<Check> {
  const problems = new ProblemList('what is asked for again comes again under its first id');
  const before = new Set(watch.ids);
  const deliveries = await database.rows<{ id: string }>('select id from deliveries where endpoint_id = $1', [
    watch.hookId,
  ]);
  const at = `/webhook_endpoints/${watch.hookId}`;
  const count = watch.accepted;
  await platform.client.post(`${at}/deliveries/${deliveries[0]!.id}/redeliver`);
  const arrived = (more: number) =>
    waitUntil(() => watch.accepted >= count + more, { what: 'it to come again', withinMs: 60_000 }).catch(
      (error: Error) => problems.add(error.message),
    );
  await arrived(1);
  await platform.client.post(`${at}/replay`, { body: { since: 0, include: 'all' } });
  await arrived(1 + deliveries.length);
  for (const id of watch.ids) if (!before.has(id)) problems.add(`${id} is new`);
  return problems.toCheck(`1 by its id and ${deliveries.length} as a range`);
}
