/** Two API processes relay events and send webhooks; one of them is killed in turn while batches create events. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedProcess } from '../../support/platform.ts';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import { WebhookMonitor } from '../webhook-monitor.ts';

export const webhookApiKill: Fault = {
  name: 'webhook-api-kill',
  title: 'kill -9 of one of two API processes while webhooks are sent',
  backends: ['embedded', 'redis'],
  run: (options) =>
    WebhookMonitor.use((monitor) =>
      Deployment.use(options, { workers: 2, env: monitor.env }, (deployment) =>
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
  const { platform } = deployment;
  await monitor.register(platform.client);
  let second: ManagedProcess = await platform.addApi();
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 800 : 20_000), short ? 2 : 4));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const rounds = short ? 2 : 12;
  for (let round = 1; round <= rounds; round++) {
    for (let n = 0; n < 4; n++) await deployment.submit({ lines: random.between(1, 60) });
    await sleep(random.between(0, 400));
    // The first one runs the relay; the other continues when one is killed.
    if (round % 2 === 1) {
      await kill(platform.api);
      await sleep(random.between(200, 3_000));
      await platform.restartApi();
    } else {
      await kill(second);
      await sleep(random.between(200, 1_000));
      second = await platform.addApi();
    }
    print(
      `round ${round}: ${round % 2 === 1 ? 'first' : 'second'} API killed; ${monitor.count} requests so far`,
    );
  }
  await deployment.waitUntilEnded(180_000);
  const { checks, figures } = await monitor.checks(deployment.database, rounds);
  const invariants = await deployment.runChecker({ secrets: monitor.signingSecrets });
  return { checks: [...invariants, ...checks], tables: [], figures: { apiKills: rounds, ...figures } };
}

async function kill({ child }: ManagedProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
