/** Nest's Standard Schema pipe, with our own error: the field at fault and what is wrong with it. */
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { InvalidInput } from '#domain';

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** @param under put before the path, where what was parsed is a part of what was sent. */
export function toInvalidInput(issue: Issue | undefined, under = ''): InvalidInput {
  const steps = issue?.path?.map((step) => String(typeof step === 'object' ? step.key : step)) ?? [];
  const path = steps.length > 0 ? steps.join('.') : '';
  const param = path && !topLevelFields.has(path) ? `${under}${path}` : path;
  return new InvalidInput(
    param ? `'${param}': ${issue!.message}.` : (issue?.message ?? 'The request is not valid.'),
    {
      code: 'invalid_request',
      ...(param && { param }),
    },
  );
}

/** Fields of a kind's body that stand beside a task's input. */
const topLevelFields = new Set(['model', 'metadata']);

export const createSchemaPipe = () =>
  new StandardSchemaValidationPipe({ exceptionFactory: ([issue]) => toInvalidInput(issue) });
