/** Two APIs that both hold every duty but the relay: what both do at once is done once. */
import { fileURLToPath } from 'node:url';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { Deployment } from '../deployment.ts';

const overrideElectionArgs = [
  '--import',
  fileURLToPath(new URL('../preload/override-election.js', import.meta.url)),
];
const duties = ['dispatch', 'reconcile', 'garbage'];

export const twoDispatchers: Fault = {
  name: 'two-dispatchers',
  title: 'two APIs dispatch and sweep at once, their election overrideElectionArgs',
  backends: ['embedded', 'redis'],
  run: (options) =>
    Deployment.use(options, { workers: 3, env: { WORKER_SLOTS: '2', LOG_LEVEL: 'debug' } }, (deployment) =>
      runFault(deployment, options),
    ),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const twin = await deployment.platform.addApi(overrideElectionArgs);
  const batches = options.short ? 4 : 12;
  const lines = options.lines ?? (options.short ? 1_000 : 4_000);
  for (let batch = 0; batch < batches; batch++) await deployment.submit({ lines, delayMs: 100 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await deployment.waitUntilEnded(120_000);
  const { again, chunks } = await deployment.database.one<{ again: number; chunks: number }>(
    // A delivery may be taken back for what goes before it, and made anew; to be claimed twice is what may not be.
    'select count(*) filter (where attempt > 1) as again, count(*) as chunks from chunks',
  );
  const { platform } = deployment;
  const dispatched = [platform.api, twin].map(
    (api) => api.output().match(/"msg":"dispatched"/g)?.length ?? 0,
  );
  const held = duties.filter((duty) => twin.output().includes(`"job":"${duty}"`));
  const checks: Check[] = [
    ...(await deployment.runChecker()),
    {
      name: 'both held the duties, and both dispatched',
      holds: held.length === duties.length && dispatched.every((rounds) => rounds > 0),
      found: `the second one held ${held.join(', ') || 'none'}; ${dispatched.join(' and ')} rounds that dispatched`,
    },
    {
      name: 'no chunk was run twice',
      holds: again === 0,
      found: `${again} of ${chunks} chunks`,
    },
  ];
  return { checks, tables: [], figures: { batches, chunks, ...(await measureThroughput(deployment)) } };
}
