/** An error that the user can act on: its message is printed without a stack. */
export class StartupError extends Error {
  /** Exit code of the supervisor. */
  readonly exitCode: number;

  /** @param message one line: what is wrong, then what to do about it */
  constructor(message: string, { exitCode = 1, ...options }: ErrorOptions & { exitCode?: number } = {}) {
    super(message, options);
    this.name = 'StartupError';
    this.exitCode = exitCode;
  }
}
