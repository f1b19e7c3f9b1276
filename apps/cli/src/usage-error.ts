/** An error that the user can fix. The message says how, and the CLI prints it without a stack trace. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
