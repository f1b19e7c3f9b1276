/** An error that the user can act on: its message is printed without a stack. */
export class StartupError extends Error {
  /** @param message one line: what is wrong, then what to do about it */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartupError';
  }
}
