/** What workspaces use, summed by the hour, and what is left of the providers' credit. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { UsageStore } from '#database';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { PROVIDERS } from '../infrastructure/tokens.ts';
import { READ_CREDITS, readCreditsWith } from './read-credits.ts';
import { rollUpUsage } from './roll-up-usage.ts';
import { UsageController } from './usage.controller.ts';

/** Free credit of each provider in US dollars a month. */
const FREE_CREDIT = Symbol('free credit');

const rollUpEveryMs = 5_000;

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [UsageController],
  providers: [
    ...provideStores(UsageStore),
    provideOptions(FREE_CREDIT, (config) => config.FREE_CREDIT_USD),
    provideWith(READ_CREDITS, readCreditsWith, {
      usage: UsageStore,
      providers: PROVIDERS,
      freeCredit: FREE_CREDIT,
    }),
  ],
})
export class UsageModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(UsageStore) private readonly usage: UsageStore,
  ) {}

  onModuleInit(): void {
    this.jobs.addElectedLoop({
      name: 'usage',
      intervalMs: rollUpEveryMs,
      isRelaxed: true,
      run: () => rollUpUsage(this.usage),
    });
  }
}
