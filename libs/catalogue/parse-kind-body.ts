/** Parses a request body by its kind. Numbers that a double would change stay as they were written. */
import type { z } from 'zod';
import { restoreRawNumbers, toPlainNumbers } from '#domain';
import type { Kind } from './kind.ts';

/** @param body may hold raw numbers (`parseExactJson`); the schema checks their values. */
export function parseKindBody<Body>({ body: schema }: Kind<Body>, body: unknown): z.ZodSafeParseResult<Body> {
  const plain = toPlainNumbers(body);
  const parsed = schema.safeParse(plain);
  if (plain !== body && parsed.success) restoreRawNumbers(parsed.data, body);
  return parsed;
}
