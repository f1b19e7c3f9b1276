/** Packs lines into provider calls: neighbours that may share a call do, up to a budget of tokens and items. */

export interface PackLimits {
  readonly maxTokens: number;
  readonly maxItems: number;
  /** So many lines are read ahead and sorted by tokens, where a call costs as much as its longest line. */
  readonly sortWithin?: number;
}

export interface Packable {
  /** Lines of different keys never share a call. */
  readonly key: string;
  readonly tokens: number;
  readonly items: number;
}

/**
 * Keeps order within a key, unless sorting is asked for. A line beyond the budget on its own makes a call of its own. Calls come as they are
 * filled, and lines are taken as they are needed: what is in memory are the lines of the open calls.
 */
export function* pack<T extends Packable>(lines: Iterable<T>, limits: PackLimits): Generator<T[]> {
  const open = new Map<string, { lines: T[]; tokens: number; items: number }>();
  for (const line of sorted(lines, limits)) {
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

/** Read ahead no further than some calls' worth of tokens: lines may be long. */
const callsAhead = 64;

function* sorted<T extends Packable>(
  lines: Iterable<T>,
  { sortWithin = 1, maxTokens }: PackLimits,
): Generator<T> {
  let window: T[] = [];
  let tokens = 0;
  const longestFirst = () => window.sort((a, b) => b.tokens - a.tokens);
  for (const line of lines) {
    window.push(line);
    tokens += line.tokens;
    if (window.length < sortWithin && tokens < maxTokens * callsAhead) continue;
    yield* longestFirst();
    window = [];
    tokens = 0;
  }
  yield* longestFirst();
}
