/** The loops that one API process runs at a time: dispatch, sweep, relay, garbage, usage, compose; and the sender, which all run. */
import {
  BatchStore,
  CheckpointStore,
  ChunkStore,
  CompositionStore,
  DeliveryStore,
  FeedStore,
  FileStore,
  GarbageStore,
  LeaseStore,
  PlanStore,
  RetentionStore,
  TaskStore,
  UploadStore,
  UsageStore,
  WorkerStore,
} from '#database';
import type { Infrastructure } from '../infrastructure/connect.ts';
import { collectGarbage } from './maintenance/collect-garbage.ts';
import { composeNextFile } from '../batches/compose-outputs.ts';
import { dispatchChunks } from '../batches/dispatch-chunks.ts';
import { runElectedJob } from './leader-election.ts';
import { deleteExpired } from './maintenance/delete-expired.ts';
import { startRelay } from '../live/relay.ts';
import { rollUpUsage } from '../usage/roll-up-usage.ts';
import { createLoop, type Loop } from './loop.ts';
import { reconcile } from './maintenance/reconcile.ts';
import { startWebhookSender } from '../webhooks/send-deliveries.ts';

export interface BackgroundJobs {
  stop(): Promise<void>;
}

const dispatchEveryMs = 1_000;
const sweepEveryMs = 2_000;
/** How often half-written objects are looked for, and the age at which nobody will finish one. */
const storeSweepEveryMs = 3_600_000;
const unfinishedObjectMs = 86_400_000;
/** A step looks at 5,000 objects: ten million are seen in under three hours, and no core notices. */
const collectEveryMs = 5_000;
const collectAgainS = 6 * 3_600;
const forgetEveryMs = 60_000;
const rollUpEveryMs = 5_000;

/** What may wait a while for its next holder renews seldom. */
const unhurried = { ttlMs: 20_000, renewMs: 5_000 };

/** How often a file to be composed is looked for, and how long readers of its old segments have. */
const composeEveryMs = 5_000;
const composeGraceS = 3_600;

export function startBackgroundJobs({
  config,
  log,
  database,
  queues,
  bus,
  objects,
  webhookTools,
}: Infrastructure): BackgroundJobs {
  const leases = new LeaseStore(database);
  const chunks = new ChunkStore(database);
  const swept = {
    batches: new BatchStore(database),
    plans: new PlanStore(database),
    chunks,
    files: new FileStore(database),
    uploads: new UploadStore(database),
    checkpoints: new CheckpointStore(database),
    workers: new WorkerStore(database),
    tasks: new TaskStore(database),
    queues,
    objects,
    bus,
    log,
  };
  const window = config.CHUNK_WINDOW;
  const dispatching = createLoop(
    'dispatch',
    dispatchEveryMs,
    () => dispatchChunks({ chunks, queues, window, log }),
    log,
  );
  const sweepStore = throttle(storeSweepEveryMs, async () => {
    const removed = await objects.cleanUpUnfinished(unfinishedObjectMs);
    if (removed > 0) log.warn({ objects: removed }, 'removed what was left half-written in the object store');
  });
  const sweepAll = () => reconcile(swept).then(sweepStore);
  const sweeping = createLoop('sweep', sweepEveryMs, sweepAll, log);
  const garbage = new GarbageStore(database);
  const ageS = config.GARBAGE_AGE_HOURS * 3_600;
  const forgetting = {
    retention: new RetentionStore(database),
    deliveryDays: config.WEBHOOK_LOG_DAYS,
    eventDays: config.FEED_DAYS,
    attemptDays: config.ATTEMPT_DAYS,
    log,
  };
  const forgetOld = throttle(forgetEveryMs, () => deleteExpired(forgetting));
  const collecting = createLoop(
    'garbage',
    collectEveryMs,
    async () => {
      await forgetOld();
      await collectGarbage({ garbage, objects, ageS, everyS: collectAgainS, log });
    },
    log,
  );
  const usage = new UsageStore(database);
  const rolling = createLoop('usage', rollUpEveryMs, () => rollUpUsage(usage), log);
  const compose = objects.compose?.bind(objects);
  // On a disk nothing is gained: the bytes would be written twice, and a list of files reads as fast as one.
  const composing =
    compose &&
    createLoop(
      'compose',
      composeEveryMs,
      async () => {
        const on = {
          compositions: new CompositionStore(database),
          objects: { compose, delete: (keys: readonly string[]) => objects.delete(keys) },
          graceS: composeGraceS,
          log,
        };
        while (await composeNextFile(on));
      },
      log,
    );
  const elected = (name: string, { run }: Loop, lease = {}) =>
    runElectedJob({ name, leases, log, run, ...lease });
  const duties = [
    elected('dispatch', dispatching),
    elected('sweep', sweeping),
    elected('garbage', collecting, unhurried),
    elected('usage', rolling, unhurried),
    ...(composing ? [elected('compose', composing, unhurried)] : []),
    startRelay({ feed: new FeedStore(database), leases, bus, log }),
    startWebhookSender({ deliveries: new DeliveryStore(database), ...webhookTools, bus, log }),
  ];
  for (const topic of ['batch.planned', 'chunk.done'] as const) {
    void bus.subscribe(topic, dispatching.wake, dispatching.wake);
  }
  return {
    async stop() {
      await Promise.all(duties.map((duty) => duty.stop()));
    },
  };
}

/** Calls that come too soon do nothing; one that fails has had its turn. */
function throttle(ms: number, run: () => Promise<void>): () => Promise<void> {
  let last = -Infinity;
  return async () => {
    if (performance.now() - last < ms) return;
    last = performance.now();
    await run();
  };
}
