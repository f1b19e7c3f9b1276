/** An upload's and a part's row as they go on the wire. */
import type { UploadObject, UploadPartObject } from '#contracts';
import type { UploadPartRow, UploadRow, UploadWithFile } from '#database';
import { toFileObject } from '../files/file-object.ts';
import { seconds } from '../wire/time.ts';

export function toUploadObject({ upload, file }: UploadWithFile): UploadObject {
  return { ...announced(upload), ...(upload.status === 'completed' && { file: file && toFileObject(file) }) };
}

function announced({ id, bytes, createdAt, expiresAt, filename, purpose, status }: UploadRow) {
  const times = { created_at: seconds(createdAt), expires_at: seconds(expiresAt) };
  return { id, object: 'upload' as const, bytes, ...times, filename, purpose, status };
}

export function toPartObject({ id, createdAt, uploadId }: UploadPartRow): UploadPartObject {
  return { id, object: 'upload.part', created_at: seconds(createdAt), upload_id: uploadId };
}
