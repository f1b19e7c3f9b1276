/** `/v1/files`, as OpenAI's clients call it. */
import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fileListQuery, toPage, type FileDeleted, type FileObject, type Page } from '@millrace/contracts';
import type { z } from 'zod';
import type { AppConfig } from '#config';
import { FileStore, type Caller } from '#database';
import { Conflict, InvalidInput } from '#domain';
import { readSegments, type ObjectStore } from '#storage';
import { CurrentCaller } from '../access/access.guard.ts';
import { CONFIG, OBJECTS } from '../infrastructure/tokens.ts';
import { createRequestAbortSignal } from '../http/client-disconnect.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { toFileObject } from './file-object.ts';
import { sendContent } from '../http/send-content.ts';
import { fileTooLarge } from './read-upload.ts';
import { uploadFile } from './upload-file.ts';

/** What a form may take beside its file; a body that is longer yet is refused unread. */
const formBytes = 2 ** 20;

@Controller('v1/files')
export class FilesController {
  constructor(
    @Inject(FileStore) private readonly files: FileStore,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(CONFIG) private readonly config: AppConfig,
  ) {}

  @Post()
  @HttpCode(200)
  async upload(@CurrentCaller() caller: Caller, @Req() request: FastifyRequest): Promise<FileObject> {
    if (!request.isMultipart()) {
      throw new InvalidInput('Send the file as multipart/form-data, in the field `file`.', { param: 'file' });
    }
    const maxBytes = this.config.UPLOAD_MAX_BYTES;
    if (Number(request.headers['content-length'] ?? 0) > maxBytes + formBytes) throw fileTooLarge(maxBytes);
    const parts = request.parts({ limits: { fileSize: maxBytes + 1, fields: 20, fieldSize: 8_192 } });
    const options = {
      files: this.files,
      objects: this.objects,
      maxBytes,
      signal: createRequestAbortSignal(request),
    };
    return toFileObject(await uploadFile(caller.workspaceId, parts, options));
  }

  @Get()
  async list(
    @CurrentCaller() caller: Caller,
    @Query({ schema: fileListQuery }) page: z.output<typeof fileListQuery>,
  ): Promise<Page<FileObject>> {
    const rows = await this.files.list(caller.workspaceId, page);
    return toPage(rows.map(toFileObject), page.limit);
  }

  @Get(':id')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('file')) id: string,
  ): Promise<FileObject> {
    return toFileObject(await this.files.get(caller.workspaceId, id));
  }

  @Get(':id/content')
  async content(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('file')) id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const file = await this.files.get(caller.workspaceId, id);
    if (file.status !== 'processed') {
      throw new Conflict(`This file's status is ${file.status}; it has content once it is processed.`, {
        code: 'file_not_processed',
      });
    }
    const segments = await this.files.listSegments(caller.workspaceId, id);
    await sendContent(request, reply, {
      bytes: file.bytes,
      contentType: contentTypeFor(file.filename),
      filename: file.filename,
      open: (range, signal) => readSegments(this.objects, segments, { ...range, signal }),
    });
  }

  @Delete(':id')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('file')) id: string,
  ): Promise<FileDeleted> {
    await this.files.delete(caller.workspaceId, id);
    const keys = (await this.files.listSegments(caller.workspaceId, id)).map(({ key }) => key);
    // The file is gone for its owner already; where this fails, the sweep does it later.
    await this.objects.delete(keys).then(
      () => this.files.deleteSegments(keys),
      () => undefined,
    );
    return { id, object: 'file', deleted: true };
  }
}

/** Whatever else it may be named, it is for saving and not for showing. */
function contentTypeFor(filename: string): string {
  if (/\.jsonl$/i.test(filename)) return 'application/jsonl';
  return /\.jsonl\.gz$/i.test(filename) ? 'application/gzip' : 'application/octet-stream';
}
