/** Two APIs run every background job except the relay at the same time: each effect happens once. */
import { fileURLToPath } from 'node:url';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { Deployment } from '../deployment.ts';

const overrideElectionArgs = [
  '--import',
  fileURLToPath(new URL('../preload/override-election.js', import.meta.url)),
];
const jobs = ['dispatch', 'reconcile', 'garbage'];

export const twoDispatchers: Fault = {
  name: 'two-dispatchers',
  title: 'two APIs dispatch and reconcile at the same time, with leader election overridden',
  backends: ['embedded', 'redis'],
  run: (options) =>
    Deployment.use(options, { workers: 3, env: { WORKER_SLOTS: '2', LOG_LEVEL: 'debug' } }, (deployment) =>
      runFault(deployment, options),
    ),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const second = await deployment.platform.addApi(overrideElectionArgs);
  const batches = options.short ? 4 : 12;
  const lines = options.lines ?? (options.short ? 1_000 : 4_000);
  for (let batch = 0; batch < batches; batch++) await deployment.submit({ lines, delayMs: 100 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await deployment.waitUntilEnded(120_000);
  const { again, chunks } = await deployment.database.one<{ again: number; chunks: number }>(
    // A chunk may be released and requeued before its turn; it must not be claimed twice.
    'select count(*) filter (where attempt > 1) as again, count(*) as chunks from chunks',
  );
  const { platform } = deployment;
  const dispatched = [platform.api, second].map(
    (api) => api.output().match(/"msg":"dispatched"/g)?.length ?? 0,
  );
  const held = jobs.filter((job) => second.output().includes(`"job":"${job}"`));
  const checks: Check[] = [
    ...(await deployment.runChecker()),
    {
      name: 'both ran the background jobs, and both dispatched',
      holds: held.length === jobs.length && dispatched.every((rounds) => rounds > 0),
      found: `the second API ran ${held.join(', ') || 'none'}; ${dispatched.join(' and ')} dispatches`,
    },
    {
      name: 'no chunk was run twice',
      holds: again === 0,
      found: `${again} of ${chunks} chunks`,
    },
  ];
  return { checks, tables: [], figures: { batches, chunks, ...(await measureThroughput(deployment)) } };
}
