/** `/v1/uploads`, as OpenAI's clients call it: a file of any size, sent in parts. */
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { AppConfig } from '#config';
import {
  completeUploadBody,
  createUploadBody,
  newId,
  type CompleteUploadBody,
  type CreateUploadBody,
  type UploadObject,
  type UploadPartObject,
} from '@millrace/contracts';
import { UploadStore, type Caller } from '#database';
import { InvalidInput } from '#domain';
import type { ObjectStore } from '#storage';
import { CurrentCaller } from '../access/access.guard.ts';
import { fileTooLarge } from '../files/read-upload.ts';
import { assertFilename } from '../files/upload-file.ts';
import { CONFIG, OBJECTS } from '../infrastructure/tokens.ts';
import { createRequestAbortSignal } from '../http/client-disconnect.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { addPart, partTooLarge } from './add-part.ts';
import { CompleteUpload } from './complete-upload.ts';
import { toPartObject, toUploadObject } from './upload-object.ts';

/** What a form may take beside its file; a body that is longer yet is refused unread. */
const formBytes = 2 ** 20;

/** Seconds for which an upload takes parts, as OpenAI's do. */
const livesS = 3_600;

@Controller('v1/uploads')
export class UploadsController {
  private readonly completion: CompleteUpload;

  constructor(
    @Inject(UploadStore) private readonly uploads: UploadStore,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(CONFIG) private readonly config: AppConfig,
  ) {
    this.completion = new CompleteUpload({ uploads, objects, maxBytes: config.UPLOAD_MAX_BYTES });
  }

  @Post()
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body({ schema: createUploadBody }) body: CreateUploadBody,
  ): Promise<UploadObject> {
    const { filename, purpose, bytes, mime_type: mimeType, expires_after } = body;
    const maxBytes = this.config.UPLOAD_MAX_BYTES;
    assertFilename(filename, purpose, 'filename');
    if (bytes > maxBytes) throw fileTooLarge(maxBytes, 'bytes');
    const lifetime = { expiresAfterS: expires_after?.seconds ?? null, expiresInS: livesS };
    const upload = { id: newId('upload'), filename, purpose, bytes, mimeType, ...lifetime };
    return toUploadObject({ upload: await this.uploads.create(caller.workspaceId, upload), file: null });
  }

  @Get(':id')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
  ): Promise<UploadObject> {
    return toUploadObject(await this.uploads.get(caller.workspaceId, id));
  }

  @Post(':id/parts')
  @HttpCode(200)
  async addPart(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
    @Req() request: FastifyRequest,
  ): Promise<UploadPartObject> {
    if (!request.isMultipart()) {
      throw new InvalidInput('Send the part as multipart/form-data, in the field `data`.', { param: 'data' });
    }
    const { uploads, objects, config } = this;
    const maxBytes = config.UPLOAD_PART_MAX_BYTES;
    if (Number(request.headers['content-length'] ?? 0) > maxBytes + formBytes) throw partTooLarge(maxBytes);
    const signal = createRequestAbortSignal(request);
    const upload = await uploads.getPending(caller.workspaceId, id);
    signal.throwIfAborted();
    const form = request.parts({ limits: { fileSize: maxBytes + 1, fields: 20, fieldSize: 8_192 } });
    return toPartObject(await addPart(upload, form, { uploads, objects, maxBytes, signal }));
  }

  @Post(':id/complete')
  @HttpCode(200)
  async complete(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
    @Body({ schema: completeUploadBody }) body: CompleteUploadBody,
  ): Promise<UploadObject> {
    return toUploadObject(await this.completion.run(caller.workspaceId, id, body));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
  ): Promise<UploadObject> {
    return toUploadObject(await this.uploads.cancel(caller.workspaceId, id));
  }
}
