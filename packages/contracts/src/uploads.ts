/** Uploads on the wire, in OpenAI's shape: a file that is sent in parts. Times are Unix seconds, sizes bytes. */
import { z } from 'zod';
import { expiresAfter, uploadPurpose, type FileObject, type FilePurpose } from './files.ts';

export type UploadStatus = 'pending' | 'completed' | 'cancelled' | 'expired';

/** Parts that a file may be made of. */
export const maxParts = 10_000;

export const createUploadBody = z.object({
  filename: z.string(),
  bytes: z.number().int().min(1, 'the size of the whole file, 1 byte or more'),
  mime_type: z.string().min(1).max(255),
  purpose: uploadPurpose,
  expires_after: expiresAfter('created_at').optional(),
});
export type CreateUploadBody = z.output<typeof createUploadBody>;

export const completeUploadBody = z.object({
  /** In the order of the file. */
  part_ids: z
    .array(z.string())
    .min(1, 'at least one part')
    .max(maxParts, `a file is made of ${maxParts} parts at most`),
  /** Of the bytes as they were sent. */
  md5: z
    .string()
    .regex(/^[0-9a-f]{32}$/i, 'an md5 is 32 hexadecimal digits')
    .nullish(),
});
export type CompleteUploadBody = z.output<typeof completeUploadBody>;

export interface UploadObject {
  id: string;
  object: 'upload';
  bytes: number;
  created_at: number;
  expires_at: number;
  filename: string;
  purpose: FilePurpose;
  status: UploadStatus;
  /** Once it is completed; null where that file was deleted since. */
  file?: FileObject | null;
}

export interface UploadPartObject {
  id: string;
  object: 'upload.part';
  created_at: number;
  upload_id: string;
}
