/**
 * The sandbox computes every answer from the request, so that runs can be repeated and checked, and marks it as
 * simulated. The model's suffix or the request's `metadata.sandbox` sets its delays and faults.
 */
import { kinds, type KindId } from '#catalogue';
import { InvalidInput } from '#domain';
import { createDefaultCredential } from '../credential.ts';
import type { Provider } from '../provider.ts';
import { handlers } from './handlers.ts';
import { suffixes } from './options.ts';

export const sandbox: Provider = {
  id: 'sandbox',
  pool: 'remote',
  defaultCredential: createDefaultCredential('sandbox'),
  concurrency: 4,
  // Its failures are requested, so it does not help to wait until it recovers. And a refusal for one model does not
  // mean that the credential is refused for the others.
  policy: { budget: { maxWaitMs: 15_000, maxDeferralMs: 5_000 }, blockMs: 0 },
  handlers,
  isBilled: (model) => model.endsWith(':paid'),
  acceptsImages: ({ model }) => !model.endsWith(':blind'),
  listModels: () => Object.keys(kinds),
  checkModel(model, kind) {
    const [name = '', suffix, ...more] = model.split(':');
    const isValid = Object.hasOwn(kinds, name) && (suffix === undefined || Object.hasOwn(suffixes, suffix));
    if (!isValid || more.length > 0) {
      const names = Object.keys(kinds).map((id) => `sandbox/${id}`);
      const validSuffixes = Object.keys(suffixes).map((key) => `:${key}`);
      throw modelNotFound(
        `The sandbox has no such model. Use ${names.join(', ')}, optionally with a suffix: ${validSuffixes.join(', ')}.`,
      );
    }
    if (kind && name !== kind) throw modelNotFound(describeWrongKind(name, kind));
  },
};

const describeWrongKind = (name: string, kind: KindId) =>
  `sandbox/${name} does not run ${kind}. Use sandbox/${kind}.`;

const modelNotFound = (message: string) =>
  new InvalidInput(message, { code: 'model_not_found', param: 'model' });
