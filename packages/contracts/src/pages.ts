/** Lists as OpenAI's clients page them: by id, `after` is exclusive. */
import { z } from 'zod';
import { optional, queryInteger, withDefault } from './fields.ts';

export const pageQuery = (limits: { max: number; default: number }) =>
  z.object({
    after: optional(
      z
        .string()
        .regex(/^[a-z]{1,16}_[0-9a-f]{32}$/, 'it must be the id of the last item of the previous page'),
    ),
    limit: withDefault(queryInteger(1, limits.max), limits.default),
    order: withDefault(z.enum(['asc', 'desc']), 'desc'),
  });

export type PageQuery = z.output<ReturnType<typeof pageQuery>>;

export const pageSchema = <Item extends z.ZodType>(item: Item) =>
  z.object({
    object: z.literal('list'),
    data: z.array(item),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  });
export type Page<T> = z.output<ReturnType<typeof pageSchema<z.ZodType<T>>>>;

/** A list that is never paged. */
export const listSchema = <Item extends z.ZodType>(item: Item) =>
  z.object({ object: z.literal('list'), data: z.array(item) });

/** @param rows up to `limit + 1`; the extra row says that there is a next page. */
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

/** The answer to a delete. */
export const deletedSchema = <Id extends z.ZodType, const Name extends string>(id: Id, object: Name) =>
  z.object({ id, object: z.literal(object), deleted: z.literal(true) });
