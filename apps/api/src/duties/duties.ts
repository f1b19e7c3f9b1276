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
import type { Infrastructure } from '../infrastructure.ts';
import { collectGarbage } from './collect-garbage.ts';
import { composeNext } from './compose-outputs.ts';
import { dispatch } from './dispatcher.ts';
import { runElected } from './elected.ts';
import { forget } from './forget.ts';
import { startRelay } from './relay.ts';
import { rollUpUsage } from './roll-up-usage.ts';
import { rounds, type Rounds } from './rounds.ts';
import { sweep } from './sweep.ts';
import { startSender } from '../webhooks/sender.ts';

export interface Duties {
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

export function startDuties({ config, log, database, queues, bus, store, webhooks }: Infrastructure): Duties {
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
    store,
    bus,
    log,
  };
  const window = config.CHUNK_WINDOW;
  const dispatching = rounds(
    'dispatch',
    dispatchEveryMs,
    () => dispatch({ chunks, queues, window, log }),
    log,
  );
  const sweepStore = atMostEvery(storeSweepEveryMs, async () => {
    const objects = await store.sweep(unfinishedObjectMs);
    if (objects > 0) log.warn({ objects }, 'removed what was left half-written in the object store');
  });
  const sweepAll = () => sweep(swept).then(sweepStore);
  const sweeping = rounds('sweep', sweepEveryMs, sweepAll, log);
  const garbage = new GarbageStore(database);
  const ageS = config.GARBAGE_AGE_HOURS * 3_600;
  const forgetting = {
    retention: new RetentionStore(database),
    deliveryDays: config.WEBHOOK_LOG_DAYS,
    eventDays: config.FEED_DAYS,
    attemptDays: config.ATTEMPT_DAYS,
    log,
  };
  const forgetOld = atMostEvery(forgetEveryMs, () => forget(forgetting));
  const collecting = rounds(
    'garbage',
    collectEveryMs,
    async () => {
      await forgetOld();
      await collectGarbage({ garbage, store, ageS, everyS: collectAgainS, log });
    },
    log,
  );
  const usage = new UsageStore(database);
  const rolling = rounds('usage', rollUpEveryMs, () => rollUpUsage(usage), log);
  const compose = store.compose?.bind(store);
  // On a disk nothing is gained: the bytes would be written twice, and a list of files reads as fast as one.
  const composing =
    compose &&
    rounds(
      'compose',
      composeEveryMs,
      async () => {
        const on = {
          compositions: new CompositionStore(database),
          store: { compose, delete: (keys: readonly string[]) => store.delete(keys) },
          graceS: composeGraceS,
          log,
        };
        while (await composeNext(on));
      },
      log,
    );
  const elected = (name: string, { run }: Rounds, lease = {}) =>
    runElected({ name, leases, log, duty: run, ...lease });
  const duties = [
    elected('dispatch', dispatching),
    elected('sweep', sweeping),
    elected('garbage', collecting, unhurried),
    elected('usage', rolling, unhurried),
    ...(composing ? [elected('compose', composing, unhurried)] : []),
    startRelay({ feed: new FeedStore(database), leases, bus, log }),
    startSender({ deliveries: new DeliveryStore(database), ...webhooks, bus, log }),
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
function atMostEvery(ms: number, run: () => Promise<void>): () => Promise<void> {
  let last = -Infinity;
  return async () => {
    if (performance.now() - last < ms) return;
    last = performance.now();
    await run();
  };
}
