/** Compares a JSON response with the schema of its route. */
import { isDeepStrictEqual } from 'node:util';
import { errorResponse, problemDetails, responseSchemas } from '@millrace/contracts';

export interface JsonResponse {
  /** As the router names it: `GET /v1/batches/:id`. */
  readonly route: string;
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/**
 * A field that the schema does not have is a mismatch too. Response schemas change no value, so the parsed body differs
 * from the body only by such fields, and clients can still use the same schemas tolerantly.
 * @returns what is wrong, or null.
 */
export function findMismatch({ route, status, contentType, body }: JsonResponse): string | null {
  const isSuccess = status >= 200 && status < 300;
  const ofRoute = responseSchemas[route];
  if (isSuccess && ofRoute === undefined) return 'no schema in packages/contracts/src/responses.ts';
  if (isSuccess && ofRoute === null) return null;
  const ofError = contentType.includes('problem+json') ? problemDetails : errorResponse;
  const schema = isSuccess || route === 'GET /health/ready' ? ofRoute! : ofError;
  const json = JSON.parse(body) as unknown;
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `${issue!.path.join('.')}: ${issue!.message}`;
  }
  return isDeepStrictEqual(parsed.data, json) ? null : `unknown fields: ${listUnknown(json, parsed.data)}`;
}

/** Paths that are in `json` but not in `parsed`. */
function listUnknown(json: unknown, parsed: unknown, path: readonly string[] = []): string {
  if (typeof json !== 'object' || json === null) return '';
  const known = parsed as Record<string, unknown>;
  return Object.entries(json)
    .map(([key, value]) =>
      key in known ? listUnknown(value, known[key], [...path, key]) : [...path, key].join('.'),
    )
    .filter(Boolean)
    .join(', ');
}
