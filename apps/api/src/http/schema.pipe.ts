/** Validates bodies and queries with Nest's Standard Schema pipe. The error names the field and what is wrong with it. */
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { explainIssues, type SchemaIssue } from '@millrace/contracts';
import { InvalidInput } from '#domain';

/** @param paramPrefix path of the parsed value in the request, e.g. `input.`. */
export function toInvalidInput(issues: readonly SchemaIssue[], paramPrefix = ''): InvalidInput {
  const { param, message } = explainIssues(issues, paramPrefix);
  return new InvalidInput(message, { code: 'invalid_request', ...(param && { param }) });
}

export const createSchemaPipe = () =>
  new StandardSchemaValidationPipe({ exceptionFactory: (issues) => toInvalidInput(issues) });
