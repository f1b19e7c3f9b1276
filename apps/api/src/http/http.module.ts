/** What holds for every HTTP route: errors as clients expect them, and bodies and queries parsed by their schemas. */
import { Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { ErrorFilter } from './error.filter.ts';
import { createSchemaPipe } from './schema.pipe.ts';

@Module({
  imports: [InfrastructureModule],
  providers: [
    { provide: APP_FILTER, useClass: ErrorFilter },
    { provide: APP_PIPE, useFactory: createSchemaPipe },
  ],
})
export class HttpModule {}
