/** Uploads: files of any size, sent in parts. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { UploadCompletionStore, UploadStore } from '#database';
import type { ObjectStorage } from '#storage';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { OBJECTS } from '../infrastructure/tokens.ts';
import { ADD_PART, addPartWith } from './add-part.ts';
import { COMPLETE_UPLOAD, completeUploadWith } from './complete-upload.ts';
import { CREATE_UPLOAD, createUploadWith } from './create-upload.ts';
import { deleteAbandonedParts } from './delete-abandoned-parts.ts';
import { UploadsController } from './uploads.controller.ts';

const MAX_FILE_BYTES = Symbol('max file bytes');
const MAX_PART_BYTES = Symbol('max part bytes');

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [UploadsController],
  providers: [
    ...provideStores(UploadCompletionStore, UploadStore),
    provideOptions(MAX_FILE_BYTES, (config) => config.UPLOAD_MAX_BYTES),
    provideOptions(MAX_PART_BYTES, (config) => config.UPLOAD_PART_MAX_BYTES),
    provideWith(CREATE_UPLOAD, createUploadWith, { uploads: UploadStore, maxBytes: MAX_FILE_BYTES }),
    provideWith(ADD_PART, addPartWith, {
      uploads: UploadStore,
      objects: OBJECTS,
      maxBytes: MAX_PART_BYTES,
    }),
    provideWith(COMPLETE_UPLOAD, completeUploadWith, {
      uploads: UploadStore,
      completions: UploadCompletionStore,
      objects: OBJECTS,
      maxBytes: MAX_FILE_BYTES,
    }),
  ],
})
export class UploadsModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(UploadStore) private readonly uploads: UploadStore,
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
  ) {}

  onModuleInit(): void {
    const { jobs, uploads, objects } = this;
    jobs.addReconcileSteps({ name: 'deleteParts', run: () => deleteAbandonedParts({ uploads, objects }) });
  }
}
