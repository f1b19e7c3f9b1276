/** Uploads and their parts as the API answers them. */
import type { UploadObject, UploadPartObject } from '@millrace/contracts';
import type { UploadPartRow, UploadRow, UploadWithFile } from '#database';
import { toFileObject } from '../files/file-object.ts';
import { toUnixSeconds } from '../http/unix-seconds.ts';

export function toUploadObject({ upload, file }: UploadWithFile): UploadObject {
  return {
    ...toCommonFields(upload),
    ...(upload.status === 'completed' && { file: file && toFileObject(file) }),
  };
}

function toCommonFields({ id, bytes, createdAt, expiresAt, filename, purpose, status }: UploadRow) {
  const times = { created_at: toUnixSeconds(createdAt), expires_at: toUnixSeconds(expiresAt) };
  return { id, object: 'upload' as const, bytes, ...times, filename, purpose, status };
}

export function toPartObject({ id, createdAt, uploadId }: UploadPartRow): UploadPartObject {
  return { id, object: 'upload.part', created_at: toUnixSeconds(createdAt), upload_id: uploadId };
}
