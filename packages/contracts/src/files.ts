/** Files, in OpenAI's shape. Times are Unix seconds, sizes are bytes. */
import { z } from 'zod';
import { optional, queryInteger, timestamp } from './fields.ts';
import { idSchema } from './ids.ts';
import { deletedSchema, pageQuery } from './pages.ts';

export const filePurposes = [
  'batch',
  'batch_output',
  'user_data',
  'assistants',
  'vision',
  'fine-tune',
  'evals',
] as const;
export type FilePurpose = (typeof filePurposes)[number];

/** Purposes that a client may upload with. Only Millrace writes `batch_output` files. */
export const uploadPurpose = z.enum(filePurposes).exclude(['batch_output']);

export const expiresAfter = (anchor: string) =>
  z.strictObject({
    anchor: z.literal(anchor),
    seconds: queryInteger(3_600, 2_592_000),
  });

/** The form fields of an upload, without the file. Bracketed field names are nested before this schema reads them. */
export const uploadFields = z.strictObject({
  purpose: uploadPurpose,
  expires_after: optional(expiresAfter('created_at')),
});

export const fileListQuery = pageQuery({ max: 10_000, default: 10_000 }).extend({
  purpose: optional(z.enum(filePurposes)),
});

export const fileObject = z.object({
  id: idSchema('file'),
  object: z.literal('file'),
  bytes: z.int().nonnegative(),
  created_at: timestamp,
  expires_at: timestamp.nullable(),
  filename: z.string(),
  purpose: z.enum(filePurposes),
  status: z.enum(['uploaded', 'processed', 'error']),
  status_details: z.string().nullable(),
});
export type FileObject = z.output<typeof fileObject>;

export const fileDeleted = deletedSchema(idSchema('file'), 'file');
export type FileDeleted = z.output<typeof fileDeleted>;
