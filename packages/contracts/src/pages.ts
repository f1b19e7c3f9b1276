/** Lists as OpenAI's clients page them: by id, `after` exclusive. */
import { z } from 'zod';

export const pageQuery = (limits: { max: number; default: number }) =>
  z.object({
    after: z
      .string()
      .regex(/^[a-z]{1,16}_[0-9a-f]{32}$/, 'after is the id of the last item of the page before')
      .optional(),
    limit: z.coerce.number().int().min(1).max(limits.max).default(limits.default),
    order: z.enum(['asc', 'desc']).default('desc'),
  });

export type PageQuery = z.output<ReturnType<typeof pageQuery>>;

export interface Page<T> {
  object: 'list';
  data: T[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

/** @param rows one more than `limit`, where there is more. */
export function toPage<T extends { id: string }>(rows: T[], limit: number): Page<T> {
  const data = rows.slice(0, limit);
  return {
    object: 'list',
    data,
    has_more: rows.length > limit,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  };
}
