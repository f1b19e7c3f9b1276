/** Fields that many requests and responses share. */
import { z } from 'zod';

/** A time in a response: whole Unix seconds. */
export const timestamp = z.int().nonnegative();

const storableRule = 'it must not contain NUL characters or lone surrogates';

/** Whether Postgres and UTF-8 can store this text: no NUL, no lone surrogate. */
export const isStorableText = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

/** Text that is stored or compared with stored text. Every such field of a request uses this schema. */
export const storedText = (min = 0, max = 4_096) =>
  z
    .string()
    // One check in place of three: the lines of a batch are checked by it.
    .refine((text) => isStoredText(text, min, max), {
      error: ({ input }) => (isStorableText(input as string) ? describeLength(min, max) : storableRule),
    })
    .meta({
      ...(min > 0 && { minLength: min }),
      maxLength: max,
      // Without `u`, a surrogate pair would match too.
      pattern: '^[^\\0\\ud800-\\udfff]*$',
    });

/** The check of `storedText` alone, for where a schema is too slow. */
export const isStoredText = (text: unknown, min: number, max: number): boolean =>
  typeof text === 'string' && isStorableText(text) && hasLength(text, min, max);

/** Characters are code points, as JSON Schema counts them. */
function hasLength(text: string, min: number, max: number): boolean {
  if (text.length >= 2 * min && text.length <= max) return true;
  if (text.length < min || text.length > 2 * max) return false;
  const length = Array.from(text).length;
  return length >= min && length <= max;
}

function describeLength(min: number, max: number): string {
  const limit = max.toLocaleString('en');
  return min > 0 ? `it must have ${min} to ${limit} characters` : `it must have at most ${limit} characters`;
}

/** Optional in a request. Null counts as absent: clients send it for a field that they leave to the server. */
export const optional = <T extends z.ZodType>(schema: T) =>
  schema
    .nullable()
    .transform((value) => value ?? undefined)
    .optional();

/** Like `optional`, with a value for a field that is absent or null. */
export const withDefault = <T extends z.ZodType>(schema: T, value: NonNullable<z.output<T>>) =>
  schema
    .nullish()
    .transform((given): NonNullable<z.output<T>> => given ?? value)
    .meta({ default: value });

/** A whole number in a JSON body, with its range in the message. */
export const integer = (min: number, max: number) => {
  const error = rangeError('whole number', min, max);
  return z.int({ error }).min(min, { error }).max(max, { error });
};

/** A number in a JSON body, with its range in the message. */
export const numberIn = (min: number, max: number) => {
  const error = rangeError('number', min, max);
  return z.number({ error }).min(min, { error }).max(max, { error });
};

function rangeError(noun: string, min: number, max: number) {
  const range = `it must be a ${noun} from ${min.toLocaleString('en')} to ${max.toLocaleString('en')}`;
  return ({ input }: { input?: unknown }) =>
    input === undefined ? `it is required: ${range.slice('it must be '.length)}` : range;
}

/** A whole number in a query string or a form field. */
export const queryInteger = (min: number, max: number) => {
  const error = rangeError('whole number', min, max);
  return z
    .union([z.string().regex(/^-?\d{1,16}$/), z.number()], { error })
    .transform(Number)
    .pipe(z.int({ error }).min(min, { error }).max(max, { error }));
};

/** A number in a query string, e.g. Unix seconds with a fraction. */
export const queryNumber = (min: number, max: number) => {
  const error = rangeError('number', min, max);
  return z
    .union([z.string().regex(/^-?\d{1,16}(?:\.\d{1,16})?$/), z.number()], { error })
    .transform(Number)
    .pipe(numberIn(min, max));
};

/** A whole number of any size: a provider may take 64 bits. A number that a double cannot hold is passed on as written. */
export const anyInteger = z
  .number()
  .refine((value) => Number.isInteger(value), 'it must be a whole number')
  .meta({ type: 'integer' });

/** OpenAI's limits for metadata: 16 pairs, keys of 64 characters, values of 512. */
export const metadataSchema = z
  .record(z.string(), z.string())
  .refine((pairs) => describeBadPairs(pairs) === null, {
    error: ({ input }) => describeBadPairs(input as Record<string, string>) ?? storableRule,
  })
  .meta({ maxProperties: 16 });

function describeBadPairs(pairs: Readonly<Record<string, string>>): string | null {
  const entries = Object.entries(pairs);
  if (entries.length > 16) return 'it must have at most 16 pairs';
  for (const [key, value] of entries) {
    if (!isStorableText(key) || !isStorableText(value)) return storableRule;
    if (!hasLength(key, 0, 64)) return 'its keys must have at most 64 characters';
    if (!hasLength(value, 0, 512)) return 'its values must have at most 512 characters';
  }
  return null;
}

/** A model as callers name it, `provider/model-id`. */
export const modelName = storedText(1, 256);
