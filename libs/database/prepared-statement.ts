/** Statements that are sent so often that parsing and planning them anew would show. */

export interface PreparedStatement {
  /** Under which a connection remembers it. */
  readonly name: string;
  readonly text: string;
}

/** @param name one text's alone. */
export const prepareStatement = (name: string, text: string): PreparedStatement => ({
  name: `millrace-${name}`,
  text,
});

/** For the `where` of a statement that is a transaction of its own: what `withWorkspace` sets, set by itself. */
export const setWorkspaceScope = (parameter: string): string =>
  `set_config('millrace.workspace', ${parameter}, true) is not null`;
