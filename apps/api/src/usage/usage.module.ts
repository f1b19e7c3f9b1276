/** What workspaces use, summed by the hour, and what is left of the providers' credit. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { UsageStore } from '#database';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores } from '../infrastructure/provide.ts';
import { rollUpUsage } from './roll-up-usage.ts';
import { FREE_CREDIT, UsageController } from './usage.controller.ts';

const rollUpEveryMs = 5_000;

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [UsageController],
  providers: [...provideStores(UsageStore), provideOptions(FREE_CREDIT, (config) => config.FREE_CREDIT_USD)],
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
