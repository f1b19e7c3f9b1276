/** Packs lines into provider calls: consecutive lines with the same key share a call, up to a limit of tokens and items. */

export interface PackLimits {
  readonly maxTokens: number;
  readonly maxItems: number;
  /** Number of lines to read ahead and sort by tokens, for providers that pad a call to its longest line. */
  readonly sortWithin?: number;
}

export interface Packable {
  /** Lines with different keys never share a call. */
  readonly key: string;
  readonly tokens: number;
  readonly items: number;
}

/**
 * Keeps the order of lines with the same key, unless `sortWithin` is set. A line above the limits gets a call of its
 * own. Calls are yielded as they fill and lines are read on demand, so memory holds only the lines of open calls.
 */
export function* pack<T extends Packable>(lines: Iterable<T>, limits: PackLimits): Generator<T[]> {
  const open = new Map<string, { lines: T[]; tokens: number; items: number }>();
  for (const line of sortLines(lines, limits)) {
    let call = open.get(line.key);
    if (!call || call.tokens + line.tokens > limits.maxTokens || call.items + line.items > limits.maxItems) {
      if (call) yield call.lines;
      call = { lines: [], tokens: 0, items: 0 };
      open.set(line.key, call);
    }
    call.lines.push(line);
    call.tokens += line.tokens;
    call.items += line.items;
  }
  for (const call of open.values()) yield call.lines;
}

/** Read-ahead stops at this many calls' worth of tokens, because lines may be long. */
const maxCallsAhead = 64;

function* sortLines<T extends Packable>(
  lines: Iterable<T>,
  { sortWithin = 1, maxTokens }: PackLimits,
): Generator<T> {
  let window: T[] = [];
  let tokens = 0;
  const longestFirst = () => window.sort((a, b) => b.tokens - a.tokens);
  for (const line of lines) {
    window.push(line);
    tokens += line.tokens;
    if (window.length < sortWithin && tokens < maxTokens * maxCallsAhead) continue;
    yield* longestFirst();
    window = [];
    tokens = 0;
  }
  yield* longestFirst();
}
