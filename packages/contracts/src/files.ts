/** Files on the wire, in OpenAI's shape. Times are Unix seconds, sizes bytes. */
import { z } from 'zod';
import { pageQuery } from './pages.ts';

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

/** Purposes a client may upload under; `batch_output` is ours alone. */
export const uploadPurpose = z.enum(filePurposes).exclude(['batch_output']);

export const expiresAfter = (anchor: string) =>
  z.object({
    anchor: z.literal(anchor),
    seconds: z.coerce.number().int().min(3_600).max(2_592_000),
  });

/** The fields of an upload beside the file itself; nested ones arrive bracketed and are folded before parsing. */
export const uploadFields = z.object({
  purpose: uploadPurpose,
  expires_after: expiresAfter('created_at').optional(),
});

export const fileListQuery = pageQuery({ max: 10_000, default: 10_000 }).extend({
  purpose: z.enum(filePurposes).optional(),
});

export interface FileObject {
  id: string;
  object: 'file';
  bytes: number;
  created_at: number;
  expires_at: number | null;
  filename: string;
  purpose: FilePurpose;
  status: 'uploaded' | 'processed' | 'error';
  status_details: string | null;
}

export interface FileDeleted {
  id: string;
  object: 'file';
  deleted: true;
}
