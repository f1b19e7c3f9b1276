/** The one error of the launcher's that is meant for a person: its message is printed alone, without a stack. */
export class StartupError extends Error {
  /** @param message one line: what is wrong, then what to do about it. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CannotStart';
  }
}
