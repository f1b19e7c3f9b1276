/** The parts of a task request as the one body that its kind parses. Used by `POST /v1/tasks` and by batch lines. */
import type { TaskRequestBody } from '@millrace/contracts';
import { InvalidInput } from '#domain';

/** The path that runs every kind. */
export const tasksPath = '/v1/tasks';

/** @throws InvalidInput if a field is in both `input` and `options`. */
export function buildTaskBody({
  input,
  options = {},
  model,
  metadata,
}: TaskRequestBody): Record<string, unknown> {
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(input, key)) {
      throw new InvalidInput(`'${key}' is in both input and options. Send it once.`, {
        code: 'invalid_request',
        param: `options.${key}`,
      });
    }
  }
  return { ...input, ...options, model, metadata };
}
