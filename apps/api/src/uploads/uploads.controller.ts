/** `/v1/uploads`, as OpenAI's clients call it: a file of any size, sent in parts. */
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import {
  completeUploadBody,
  createUploadBody,
  type CompleteUploadBody,
  type CreateUploadBody,
  type UploadObject,
  type UploadPartObject,
} from '@millrace/contracts';
import { UploadStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { ADD_PART, type AddPart } from './add-part.ts';
import { COMPLETE_UPLOAD, type CompleteUpload } from './complete-upload.ts';
import { CREATE_UPLOAD, type CreateUpload } from './create-upload.ts';
import { toPartObject, toUploadObject } from './upload-object.ts';

@Controller('v1/uploads')
export class UploadsController {
  constructor(
    @Inject(UploadStore) private readonly uploads: UploadStore,
    @Inject(CREATE_UPLOAD) private readonly createUpload: CreateUpload,
    @Inject(ADD_PART) private readonly addPartToUpload: AddPart,
    @Inject(COMPLETE_UPLOAD) private readonly completeUpload: CompleteUpload,
  ) {}

  @Post()
  @Requires('files:write')
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body({ schema: createUploadBody }) body: CreateUploadBody,
  ): Promise<UploadObject> {
    return toUploadObject({ upload: await this.createUpload(caller.workspaceId, body), file: null });
  }

  @Get(':id')
  @Requires('files:read')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
  ): Promise<UploadObject> {
    return toUploadObject(await this.uploads.get(caller.workspaceId, id));
  }

  @Post(':id/parts')
  @Requires('files:write')
  @HttpCode(200)
  async addPart(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
    @Req() request: FastifyRequest,
  ): Promise<UploadPartObject> {
    return toPartObject(await this.addPartToUpload(caller.workspaceId, id, request));
  }

  @Post(':id/complete')
  @Requires('files:write')
  @HttpCode(200)
  async complete(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
    @Body({ schema: completeUploadBody }) body: CompleteUploadBody,
  ): Promise<UploadObject> {
    return toUploadObject(await this.completeUpload(caller.workspaceId, id, body));
  }

  @Post(':id/cancel')
  @Requires('files:write')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('upload')) id: string,
  ): Promise<UploadObject> {
    return toUploadObject(await this.uploads.cancel(caller.workspaceId, id));
  }
}
