/** Injection tokens of the options of tasks. */

/** The longest that a request waits for its task, in seconds. */
export const MAX_WAIT_SECONDS = Symbol('max wait seconds');
