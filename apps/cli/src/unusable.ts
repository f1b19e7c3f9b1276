/** What was asked for can't be done as it was asked; the message says how it can. */
export class Unusable extends Error {
  override readonly name = 'Unusable';
}
