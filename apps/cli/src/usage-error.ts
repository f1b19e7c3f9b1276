/** What was asked for can't be done as it was asked; the message says how it can. */
export class UsageError extends Error {
  override readonly name = 'Unusable';
}
