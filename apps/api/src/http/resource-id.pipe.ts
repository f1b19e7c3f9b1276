/** An id in a path: one that was never ours is not found, without asking the database what it can't even be asked. */
import type { PipeTransform } from '@nestjs/common';
import { idSchema } from '@millrace/contracts';
import { NotFound } from '#domain';

const names = {
  file: 'file',
  batch: 'batch',
  task: 'task',
  upload: 'upload',
  endpoint: 'webhook endpoint',
  delivery: 'webhook delivery',
} as const;

export function resourceId(of: keyof typeof names): PipeTransform<string, string> {
  const schema = idSchema(of);
  const name = names[of];
  return {
    transform(id) {
      if (schema.safeParse(id).success) return id;
      throw new NotFound(`No such ${name}.`, { code: `${name.replace(' ', '_')}_not_found` });
    },
  };
}
