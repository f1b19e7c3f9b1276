/** Files: upload, content, deletion. */
import { Module } from '@nestjs/common';
import { FileStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { OBJECTS } from '../infrastructure/tokens.ts';
import { DELETE_FILE, deleteFileWith } from './delete-file.ts';
import { FilesController } from './files.controller.ts';
import { UPLOAD_FILE, uploadFileWith } from './upload-file.ts';

const MAX_FILE_BYTES = Symbol('max file bytes');

@Module({
  imports: [InfrastructureModule],
  controllers: [FilesController],
  providers: [
    ...provideStores(FileStore),
    provideOptions(MAX_FILE_BYTES, (config) => config.UPLOAD_MAX_BYTES),
    provideWith(UPLOAD_FILE, uploadFileWith, {
      files: FileStore,
      objects: OBJECTS,
      maxBytes: MAX_FILE_BYTES,
    }),
    provideWith(DELETE_FILE, deleteFileWith, { files: FileStore, objects: OBJECTS }),
  ],
})
export class FilesModule {}
