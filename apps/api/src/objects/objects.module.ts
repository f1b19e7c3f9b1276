/** Content behind the signed URLs of disk storage. */
import { Module } from '@nestjs/common';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions } from '../infrastructure/provide.ts';
import { ObjectsController, SIGNING_SECRET } from './objects.controller.ts';

@Module({
  imports: [InfrastructureModule],
  controllers: [ObjectsController],
  providers: [provideOptions(SIGNING_SECRET, (config) => config.MILLRACE_SECRET)],
})
export class ObjectsModule {}
