/** A batch line's body and response, mapped by the endpoint that its batch names: one of OpenAI's, or `/v1/tasks`. */
import { explainIssues, taskRequest } from '@millrace/contracts';
import { buildTaskBody, tasksPath } from '#catalogue';
import { InvalidInput } from '#domain';
import type { Fields } from './endpoint.ts';
import { findEndpoint } from './endpoints.ts';

/**
 * @param kind the batch's kind; all its lines have the same one.
 * @returns the body in the kind's own field names, not yet validated.
 * @throws InvalidInput `kind_mismatch`; for `/v1/tasks` also what is wrong with the body.
 */
export function parseLineBody(body: Fields, kind: string, path: string): unknown {
  if (path === tasksPath) return parseTaskLine(body, kind);
  const endpoint = findEndpoint(path);
  if (!endpoint) return body;
  const lineKind = endpoint.chooseKind(body);
  if (lineKind !== kind) throw kindMismatch(lineKind, kind);
  return endpoint.toKindBody?.(body) ?? body;
}

/**
 * @param json the kind's output with its media inlined, as JSON text.
 * @returns the response body, as JSON text. The output is not parsed if the endpoint does not map it.
 */
export function toLineResponse(json: string, body: Fields, path: string): string {
  const endpoint = findEndpoint(path);
  if (!endpoint?.toResponse) return json;
  return JSON.stringify(endpoint.toResponse(JSON.parse(json) as Fields, body));
}

function parseTaskLine(body: unknown, kind: string): Record<string, unknown> {
  const parsed = taskRequest.safeParse(body);
  if (!parsed.success) {
    const { param, message } = explainIssues(parsed.error.issues);
    throw new InvalidInput(message, { code: 'invalid_request', ...(param && { param }) });
  }
  if (parsed.data.kind !== kind && parsed.data.kind !== 'auto') {
    throw kindMismatch(parsed.data.kind, kind);
  }
  return buildTaskBody(parsed.data);
}

const kindMismatch = (lineKind: string, kind: string) =>
  new InvalidInput(
    `this line is of kind ${lineKind}. The batch runs ${kind}, the kind of its first line; all lines must have the same.`,
    { code: 'kind_mismatch', param: 'kind' },
  );
