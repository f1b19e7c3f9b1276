/** The error for wrong settings. */

/** EX_CONFIG of sysexits.h. A service manager need not restart a process that exits with it. */
export const configExitCode = 78;

/** Lists all wrong settings at once. Values of settings that may be secret are not in the message. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** @param problems one line each: the setting's name, a colon, and what is wrong */
  constructor(readonly problems: readonly string[]) {
    super(
      `Wrong settings:\n${problems.map((problem) => `  ${problem}`).join('\n')}\n.env.example describes each setting.`,
    );
  }
}
