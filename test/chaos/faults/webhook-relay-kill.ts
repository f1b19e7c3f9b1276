/** The relay dies after the commit of facts: before it has stamped them, and between their deliveries and the news. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { Deployment } from '../deployment.ts';
import { WebhookMonitor } from '../webhook-monitor.ts';

const dieAfterPublishArgs = [
  '--import',
  fileURLToPath(new URL('../preload/die-after-publish.js', import.meta.url)),
];

export const webhookRelayKill: Fault = {
  name: 'webhook-relay-kill',
  title: 'the relay killed between a fact’s commit and its delivery',
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
  await deployment.submit({ lines: 800, delayMs: 3_000 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const stamped: Check[] = [];
  const rounds = short ? 2 : 6;
  for (let round = 1; round <= rounds; round++) {
    await swap(deployment, dieAfterPublishArgs);
    await deployment.submit({ lines: 3, delayMs: 1_000 });
    const exited = once(platform.api.child, 'exit');
    platform.api.child.kill('SIGUSR2');
    // By the end of that batch, or by whatever other fact comes first.
    await exited;
    const { made, tried } = await database.one<{ made: number; tried: number }>(
      // The last stamp's: they were made in one transaction.
      `select count(*) as made, count(*) filter (where attempt_count > 0) as tried
       from deliveries where created_at = (select max(created_at) from deliveries)`,
    );
    print(`round ${round}: killed with ${made} deliveries made and nobody told`);
    stamped.push({
      name: `round ${round}: the relay died between the deliveries and the news of them`,
      holds: made > 0 && tried === 0,
      found: `${made} made, ${tried} tried`,
    });
    // What the workers commit while there is no relay waits in Postgres.
    await sleep(random.between(0, 1_500));
    await platform.restartApi();
    await sleep(random.between(0, 300));
  }
  await deployment.waitUntilEnded(120_000);
  const { checks, figures } = await watch.checks(database, 2 * rounds);
  const invariants = await deployment.runChecker({ secrets: watch.signingSecrets });
  return {
    checks: [...invariants, ...stamped, ...checks],
    tables: [],
    figures: { relayKills: 2 * rounds, ...figures },
  };
}

/** Another kill -9, then an API that has a death before it. */
async function swap({ platform }: Deployment, nodeArgs: readonly string[]): Promise<void> {
  const { child } = platform.api;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await platform.restartApi(nodeArgs);
}
