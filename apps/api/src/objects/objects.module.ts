/** Content behind the signed URLs of disk storage. */
import { Module } from '@nestjs/common';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideWith } from '../infrastructure/provide.ts';
import { OBJECTS } from '../infrastructure/tokens.ts';
import { ObjectsController } from './objects.controller.ts';
import { READ_SIGNED_OBJECT, readSignedObjectWith } from './read-signed-object.ts';

const SIGNING_SECRET = Symbol('signing secret');

@Module({
  imports: [InfrastructureModule],
  controllers: [ObjectsController],
  providers: [
    provideOptions(SIGNING_SECRET, (config) => config.MILLRACE_SECRET),
    provideWith(READ_SIGNED_OBJECT, readSignedObjectWith, { objects: OBJECTS, secret: SIGNING_SECRET }),
  ],
})
export class ObjectsModule {}
