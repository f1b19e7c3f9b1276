/** The packing of any kind: a kind without one gets one call per line. */
import type { Kind, Packing } from './kind.ts';

export function getPacking<Body, Input, Output>(
  kind: Pick<Kind<Body, Input, Output>, 'packing' | 'toInput'>,
): Packing<Body, Input, Output> {
  return kind.packing ?? buildSingleLinePacking(kind);
}

const buildSingleLinePacking = <Body, Input, Output>({
  toInput,
}: Pick<Kind<Body, Input, Output>, 'toInput'>): Packing<Body, Input, Output> => ({
  maxTokens: 1,
  maxItems: 1,
  getKey: () => '',
  weigh: () => ({ tokens: 1, items: 1 }),
  join: ([body]) => toInput(body as Body),
  split: (output) => [output],
});
