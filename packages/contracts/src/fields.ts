/** Fields that many requests and responses share. */
import { z } from 'zod';

/** A time in a response: whole Unix seconds. */
export const timestamp = z.int().nonnegative();

/** Text that Postgres and UTF-8 can store: no NUL, no lone surrogate. */
const isStorable = (text: string) => text.isWellFormed() && !text.includes('\0');

/** OpenAI's limits for metadata: 16 pairs, keys of 64 characters, values of 512. */
export const metadataSchema = z
  .record(z.string(), z.string().max(512, 'a metadata value has at most 512 characters'))
  .refine((pairs) => Object.keys(pairs).length <= 16, 'metadata has at most 16 pairs')
  .refine(
    (pairs) => Object.keys(pairs).every((key) => key.length <= 64),
    'a metadata key has at most 64 characters',
  )
  .refine(
    (pairs) => Object.entries(pairs).flat().every(isStorable),
    'metadata must not contain NUL characters or lone surrogates',
  );

/** A model as callers name it, `provider/model-id`. */
export const modelName = z.string().min(1).max(256);

/** A model name that is stored: no NUL, no lone surrogate. */
export const storableModelName = z
  .string()
  .max(256)
  .regex(/^[^\0\ud800-\udfff]+$/u);
