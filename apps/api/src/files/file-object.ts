/** A file as the API answers it. */
import type { FileObject } from '@millrace/contracts';
import type { FileRow } from '#database';
import { toUnixSeconds } from '../http/unix-seconds.ts';

export function toFileObject(file: FileRow): FileObject {
  return {
    id: file.id,
    object: 'file',
    bytes: file.bytes,
    created_at: toUnixSeconds(file.createdAt),
    expires_at: toUnixSeconds(file.expiresAt),
    filename: file.filename,
    purpose: file.purpose,
    status: file.status,
    status_details: file.statusDetails,
  };
}
