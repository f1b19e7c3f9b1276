/** A task's parts as the one body that its kind reads; the same in `POST /v1/tasks` and in a batch's line. */
import { taskRequest, type TaskRequestBody } from '@millrace/contracts';
import { InvalidInput } from '#domain';
import { findEndpoint } from './endpoints.ts';

/** Path that carries every kind. */
export const tasksPath = '/v1/tasks';

/** @throws InvalidInput where a field stands in both input and options. */
export function buildTaskBody({
  input,
  options = {},
  model,
  metadata,
}: TaskRequestBody): Record<string, unknown> {
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(input, key)) {
      throw new InvalidInput(`'${key}' stands in input and in options. Give it once.`, {
        code: 'invalid_request',
        param: `options.${key}`,
      });
    }
  }
  return { ...input, ...options, model, metadata };
}

/**
 * A line's body under its kind's names, whatever its endpoint calls them.
 * @param kind that the batch is of: its lines are of one, as they are of one model. @throws InvalidInput
 */
export function parseLineBody(body: Readonly<Record<string, unknown>>, kind: string, path: string): unknown {
  if (path === tasksPath) return parseTaskLine(body, kind);
  const endpoint = findEndpoint(path);
  if (!endpoint) return body;
  const own = endpoint.chooseKind(body);
  if (own !== kind) throw kindMismatch(own, kind);
  return endpoint.toKindBody(body);
}

function parseTaskLine(body: unknown, kind: string): Record<string, unknown> {
  const parsed = taskRequest.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const param = issue!.path.join('.');
    throw new InvalidInput(`'${param}': ${issue!.message}.`, { code: 'invalid_request', param });
  }
  if (parsed.data.kind !== kind && parsed.data.kind !== 'auto') {
    throw kindMismatch(parsed.data.kind, kind);
  }
  return buildTaskBody(parsed.data);
}

const kindMismatch = (own: string, kind: string) =>
  new InvalidInput(`this line is ${own}, and the batch ${kind} by its first line.`, {
    code: 'kind_mismatch',
    param: 'kind',
  });
