/** Leader election and loops for the features' background jobs, and the jobs that maintain the deployment. */
import { Module } from '@nestjs/common';
import { LeaseStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores } from '../infrastructure/provide.ts';
import { BackgroundJobs } from './background-jobs.ts';

@Module({
  imports: [InfrastructureModule],
  providers: [...provideStores(LeaseStore), BackgroundJobs],
  exports: [BackgroundJobs],
})
export class BackgroundModule {}
