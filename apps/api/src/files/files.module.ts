/** Files: upload, content, deletion. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { FileStore } from '#database';
import type { ObjectStorage } from '#storage';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { OBJECTS } from '../infrastructure/tokens.ts';
import { deleteAbandonedObjects } from './delete-abandoned-objects.ts';
import { DELETE_FILE, deleteFileWith } from './delete-file.ts';
import { FilesController } from './files.controller.ts';
import { READ_FILE_CONTENT, readFileContentWith } from './read-file-content.ts';
import { UPLOAD_FILE, uploadFileWith } from './upload-file.ts';

const MAX_FILE_BYTES = Symbol('max file bytes');

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [FilesController],
  providers: [
    ...provideStores(FileStore),
    provideOptions(MAX_FILE_BYTES, (config) => config.UPLOAD_MAX_BYTES),
    provideWith(UPLOAD_FILE, uploadFileWith, {
      files: FileStore,
      objects: OBJECTS,
      maxBytes: MAX_FILE_BYTES,
    }),
    provideWith(READ_FILE_CONTENT, readFileContentWith, { files: FileStore, objects: OBJECTS }),
    provideWith(DELETE_FILE, deleteFileWith, { files: FileStore, objects: OBJECTS }),
  ],
})
export class FilesModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(FileStore) private readonly files: FileStore,
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
  ) {}

  onModuleInit(): void {
    const { jobs, files, objects } = this;
    jobs.addReconcileSteps({ name: 'deleteObjects', run: () => deleteAbandonedObjects({ files, objects }) });
  }
}
