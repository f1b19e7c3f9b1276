/** Kills the relay after the commit of events: before it has published them, and between their deliveries and the message. */
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
  title: 'the relay killed between the commit of an event and its delivery',
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
  await deployment.submit({ lines: 800, delayMs: 3_000 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const published: Check[] = [];
  const rounds = short ? 2 : 6;
  for (let round = 1; round <= rounds; round++) {
    await replaceApi(deployment, dieAfterPublishArgs);
    await deployment.submit({ lines: 3, delayMs: 1_000 });
    const exited = once(platform.api.child, 'exit');
    platform.api.child.kill('SIGUSR2');
    // It dies at the first event of that batch, or at an earlier event of the other batch.
    await exited;
    const { created, attempted } = await database.one<{ created: number; attempted: number }>(
      // The deliveries of one publish are created in one transaction.
      `select count(*) as created, count(*) filter (where attempt_count > 0) as attempted
       from deliveries where created_at = (select max(created_at) from deliveries)`,
    );
    print(`round ${round}: killed after ${created} deliveries were created, before the message`);
    published.push({
      name: `round ${round}: the relay died between the deliveries and the message`,
      holds: created > 0 && attempted === 0,
      found: `${created} created, ${attempted} attempted`,
    });
    // Events that workers commit while no relay runs stay in Postgres.
    await sleep(random.between(0, 1_500));
    await platform.restartApi();
    await sleep(random.between(0, 300));
  }
  await deployment.waitUntilEnded(120_000);
  const { checks, figures } = await monitor.checks(database, 2 * rounds);
  const invariants = await deployment.runChecker({ secrets: monitor.signingSecrets });
  return {
    checks: [...invariants, ...published, ...checks],
    tables: [],
    figures: { relayKills: 2 * rounds, ...figures },
  };
}

/** Kills the API and starts one that dies on SIGUSR2 after it has published events. */
async function replaceApi({ platform }: Deployment, nodeArgs: readonly string[]): Promise<void> {
  const { child } = platform.api;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await platform.restartApi(nodeArgs);
}
