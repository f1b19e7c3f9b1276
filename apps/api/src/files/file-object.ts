/** A file's row as it goes on the wire. */
import type { FileObject } from '#contracts';
import type { FileRow } from '#database';
import { seconds } from '../wire/time.ts';

export function toFileObject(file: FileRow): FileObject {
  return {
    id: file.id,
    object: 'file',
    bytes: file.bytes,
    created_at: seconds(file.createdAt),
    expires_at: seconds(file.expiresAt),
    filename: file.filename,
    purpose: file.purpose,
    status: file.status,
    status_details: file.statusDetails,
  };
}
