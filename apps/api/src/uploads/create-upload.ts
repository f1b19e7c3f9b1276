/** Creates an upload, to which parts are added afterwards. */
import { createId, type CreateUploadBody } from '@millrace/contracts';
import type { UploadRow, UploadStore } from '#database';
import { assertFilename } from '../files/filename.ts';
import { fileTooLarge } from '../files/read-upload.ts';

/** @throws InvalidInput, OverLimit */
export type CreateUpload = (workspaceId: string, body: CreateUploadBody) => Promise<UploadRow>;
export const CREATE_UPLOAD = Symbol('create upload');

export interface CreateUploadDeps {
  readonly uploads: UploadStore;
  /** Of the whole file, expanded if compressed. */
  readonly maxBytes: number;
}

/** Seconds for which an upload accepts parts, as OpenAI's. */
const uploadExpiresInS = 3_600;

export function createUploadWith({ uploads, maxBytes }: CreateUploadDeps): CreateUpload {
  return async (workspaceId, { filename, purpose, bytes, mime_type: mimeType, expires_after }) => {
    assertFilename(filename, purpose, 'filename');
    if (bytes > maxBytes) throw fileTooLarge(maxBytes, 'bytes');
    return uploads.create(workspaceId, {
      id: createId('upload'),
      filename,
      purpose,
      bytes,
      mimeType,
      expiresAfterS: expires_after?.seconds ?? null,
      expiresInS: uploadExpiresInS,
    });
  };
}
