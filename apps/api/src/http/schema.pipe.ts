/** Validates bodies and queries with Nest's Standard Schema pipe. The error names the field and what is wrong with it. */
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { explainIssues, type ExplainOptions, type SchemaIssue } from '@millrace/contracts';
import { InvalidInput } from '#domain';

export function toInvalidInput(issues: readonly SchemaIssue[], options: ExplainOptions = {}): InvalidInput {
  const { param, message } = explainIssues(issues, options);
  return new InvalidInput(message, { code: 'invalid_request', ...(param && { param }) });
}

export const createSchemaPipe = () =>
  new StandardSchemaValidationPipe({ exceptionFactory: (issues) => toInvalidInput(issues) });
