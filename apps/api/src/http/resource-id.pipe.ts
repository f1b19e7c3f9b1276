/** Validates an id in a path. An id of another form is answered with 404, without a query. */
import type { PipeTransform } from '@nestjs/common';
import { idSchema } from '@millrace/contracts';
import { NotFound } from '#domain';

const names = {
  file: ['file', 'file_not_found'],
  batch: ['batch', 'batch_not_found'],
  task: ['task', 'task_not_found'],
  upload: ['upload', 'upload_not_found'],
  webhookEndpoint: ['webhook endpoint', 'webhook_endpoint_not_found'],
  delivery: ['webhook delivery', 'webhook_delivery_not_found'],
} as const;

export function resourceId(type: keyof typeof names): PipeTransform<string, string> {
  const schema = idSchema(type);
  const [name, code] = names[type];
  return {
    transform(id) {
      if (schema.safeParse(id).success) return id;
      throw new NotFound(`No such ${name}.`, { code });
    },
  };
}
