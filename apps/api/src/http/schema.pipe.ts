/** Validates bodies and queries with Nest's Standard Schema pipe. The error names the field and what is wrong with it. */
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { InvalidInput } from '#domain';

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** @param paramPrefix path of the parsed value in the request, e.g. `input.`. */
export function toInvalidInput(issue: Issue | undefined, paramPrefix = ''): InvalidInput {
  const steps = issue?.path?.map((step) => String(typeof step === 'object' ? step.key : step)) ?? [];
  const path = steps.length > 0 ? steps.join('.') : '';
  const param = path && !topLevelFields.has(path) ? `${paramPrefix}${path}` : path;
  return new InvalidInput(
    param ? `'${param}': ${issue!.message}.` : (issue?.message ?? 'The request is not valid.'),
    {
      code: 'invalid_request',
      ...(param && { param }),
    },
  );
}

/** Fields of a kind's body that a task request has beside `input`, not in it. */
const topLevelFields = new Set(['model', 'metadata']);

export const createSchemaPipe = () =>
  new StandardSchemaValidationPipe({ exceptionFactory: ([issue]) => toInvalidInput(issue) });
