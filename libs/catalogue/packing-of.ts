/** How any kind's lines become calls: those that can't share one are packed alone. */
import type { Kind, Packing } from './kind.ts';

export function packingOf<Body, Input, Output>(
  kind: Pick<Kind<Body, Input, Output>, 'packing' | 'toInput'>,
): Packing<Body, Input, Output> {
  return kind.packing ?? alone(kind);
}

const alone = <Body, Input, Output>({
  toInput,
}: Pick<Kind<Body, Input, Output>, 'toInput'>): Packing<Body, Input, Output> => ({
  maxTokens: 1,
  maxItems: 1,
  key: () => '',
  weigh: () => ({ tokens: 1, items: 1 }),
  join: ([body]) => toInput(body as Body),
  split: (output) => [output],
});
