/** Jobs for the deployment as a whole: run the features' reconcile and retention steps, collect garbage. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { GarbageCollectionStore } from '#database';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { InfrastructureModule } from '../../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores } from '../../infrastructure/provide.ts';
import { LOGGER, OBJECTS } from '../../infrastructure/tokens.ts';
import { BackgroundJobs } from '../background-jobs.ts';
import { BackgroundModule } from '../background.module.ts';
import { throttle } from '../throttle.ts';
import { collectGarbage } from './collect-garbage.ts';
import { deleteExpired } from './delete-expired.ts';
import { reconcile } from './reconcile.ts';

/** Age in seconds from which an object that no row refers to is garbage. */
const GARBAGE_AGE_S = Symbol('garbage age in seconds');

const reconcileEveryMs = 2_000;
/** How often unfinished objects are looked for, and the age from which an upload will not finish one. */
const cleanUpEveryMs = 3_600_000;
const unfinishedObjectMs = 86_400_000;
/** A step looks at 5,000 objects: ten million take under three hours, at a load that is not noticed. */
const collectEveryMs = 5_000;
const nextPassAfterS = 6 * 3_600;
const deleteExpiredEveryMs = 60_000;

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  providers: [
    ...provideStores(GarbageCollectionStore),
    provideOptions(GARBAGE_AGE_S, (config) => config.GARBAGE_AGE_HOURS * 3_600),
  ],
})
export class MaintenanceModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(GarbageCollectionStore) private readonly garbage: GarbageCollectionStore,
    @Inject(GARBAGE_AGE_S) private readonly garbageAgeS: number,
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const { jobs, objects, garbage, garbageAgeS: ageS, log } = this;
    const cleanUpUnfinished = throttle(cleanUpEveryMs, async () => {
      const removed = await objects.cleanUpUnfinished(unfinishedObjectMs);
      if (removed > 0) log.warn({ objects: removed }, 'removed unfinished objects from object storage');
    });
    jobs.addElectedLoop({
      name: 'reconcile',
      intervalMs: reconcileEveryMs,
      run: () => reconcile(jobs.reconcileSteps, log).then(cleanUpUnfinished),
    });
    const deleteOld = throttle(deleteExpiredEveryMs, () => deleteExpired(jobs.retentionSteps, log));
    jobs.addElectedLoop({
      name: 'garbage',
      intervalMs: collectEveryMs,
      isRelaxed: true,
      run: async () => {
        await deleteOld();
        await collectGarbage({ garbage, objects, ageS, everyS: nextPassAfterS, log });
      },
    });
  }
}
