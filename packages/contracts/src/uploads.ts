/** Uploads, in OpenAI's shape: a file sent in parts. Times are Unix seconds, sizes are bytes. */
import { z } from 'zod';
import { integer, optional, storedText, timestamp } from './fields.ts';
import { expiresAfter, fileObject, filePurposes, uploadPurpose } from './files.ts';
import { idSchema } from './ids.ts';

export const uploadStatuses = ['pending', 'completed', 'cancelled', 'expired'] as const;
export type UploadStatus = (typeof uploadStatuses)[number];

/** Maximum number of parts of one file. */
export const maxParts = 10_000;

export const createUploadBody = z.strictObject({
  filename: storedText(1, 255),
  /** Of the whole file. */
  bytes: integer(1, Number.MAX_SAFE_INTEGER),
  mime_type: storedText(1, 255),
  purpose: uploadPurpose,
  expires_after: optional(expiresAfter('created_at')),
});
export type CreateUploadBody = z.output<typeof createUploadBody>;

export const completeUploadBody = z.strictObject({
  /** In the order of the file. */
  part_ids: z.array(storedText(0, 256)).min(1).max(maxParts),
  /** MD5 of the bytes as sent, in hex. */
  md5: optional(z.string().regex(/^[0-9a-f]{32}$/i, 'it must be 32 hexadecimal digits')),
});
export type CompleteUploadBody = z.output<typeof completeUploadBody>;

export const uploadObject = z.object({
  id: idSchema('upload'),
  object: z.literal('upload'),
  bytes: z.int().nonnegative(),
  created_at: timestamp,
  expires_at: timestamp,
  filename: z.string(),
  purpose: z.enum(filePurposes),
  status: z.enum(uploadStatuses),
  /** Set once the upload is completed; null if that file was deleted. */
  file: fileObject.nullish(),
});
export type UploadObject = z.output<typeof uploadObject>;

export const uploadPartObject = z.object({
  id: idSchema('part'),
  object: z.literal('upload.part'),
  created_at: timestamp,
  upload_id: idSchema('upload'),
});
export type UploadPartObject = z.output<typeof uploadPartObject>;
