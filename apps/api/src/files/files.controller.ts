/** `/v1/files`, as OpenAI's clients call it. */
import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { fileListQuery, toPage, type FileDeleted, type FileObject, type Page } from '@millrace/contracts';
import { FileStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { sendContent } from '../http/send-content.ts';
import { DELETE_FILE, type DeleteFile } from './delete-file.ts';
import { toFileObject } from './file-object.ts';
import { READ_FILE_CONTENT, type ReadFileContent } from './read-file-content.ts';
import { UPLOAD_FILE, type UploadFile } from './upload-file.ts';

@Controller('v1/files')
export class FilesController {
  constructor(
    @Inject(FileStore) private readonly files: FileStore,
    @Inject(READ_FILE_CONTENT) private readonly readContent: ReadFileContent,
    @Inject(UPLOAD_FILE) private readonly uploadFile: UploadFile,
    @Inject(DELETE_FILE) private readonly deleteFile: DeleteFile,
  ) {}

  @Post()
  @Requires('files:write')
  @HttpCode(200)
  async upload(@CurrentCaller() caller: Caller, @Req() request: FastifyRequest): Promise<FileObject> {
    return toFileObject(await this.uploadFile(caller.workspaceId, request));
  }

  @Get()
  @Requires('files:read')
  async list(
    @CurrentCaller() caller: Caller,
    @Query({ schema: fileListQuery }) page: z.output<typeof fileListQuery>,
  ): Promise<Page<FileObject>> {
    const rows = await this.files.list(caller.workspaceId, page);
    return toPage(rows.map(toFileObject), page.limit);
  }

  @Get(':id')
  @Requires('files:read')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('file')) id: string,
  ): Promise<FileObject> {
    return toFileObject(await this.files.get(caller.workspaceId, id));
  }

  @Get(':id/content')
  @Requires('files:read')
  async content(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('file')) id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await sendContent(request, reply, await this.readContent(caller.workspaceId, id));
  }

  @Delete(':id')
  @Requires('files:write')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('file')) id: string,
  ): Promise<FileDeleted> {
    await this.deleteFile(caller.workspaceId, id);
    return { id, object: 'file', deleted: true };
  }
}
