/** Statements that are sent so often that each connection should parse and plan them only once. */

export interface PreparedStatement {
  /** The name under which a connection keeps it. */
  readonly name: string;
  readonly text: string;
}

/** @param name unique per text: a connection keeps the first text that it gets under a name. */
export const prepareStatement = (name: string, text: string): PreparedStatement => ({
  name: `millrace-${name}`,
  text,
});

/**
 * A condition that is always true and sets the workspace scope, as `withWorkspace` does. For the `where` of a statement
 * that is its own transaction.
 */
export const setWorkspaceScope = (parameter: string): string =>
  `set_config('millrace.workspace', ${parameter}, true) is not null`;
