/**
 * The sandbox: every answer is computed from the request, so runs can be repeated and checked, and says that it
 * is simulated. Its time and its faults are set by the model's suffix or the request's `metadata.sandbox`.
 */
import { kinds } from '#catalogue';
import { InvalidInput } from '#domain';
import type { Provider } from '../provider.ts';
import { handlers } from './handlers.ts';
import { suffixes } from './options.ts';

export const sandbox: Provider = {
  id: 'sandbox',
  pool: 'remote',
  concurrency: 4,
  // It fails because it was asked to: nothing is gained by waiting for it to come back, and a refusal for one model
  // says nothing about the others.
  policy: { budget: { maxWaitMs: 15_000 }, blockMs: 0 },
  handlers,
  isBilled: (model) => model.endsWith(':paid'),
  acceptsImages: (model) => !model.endsWith(':blind'),
  listModels: () => Object.keys(kinds),
  checkModel(model, kind) {
    const [name = '', suffix, ...more] = model.split(':');
    const isKnown = Object.hasOwn(kinds, name) && (suffix === undefined || Object.hasOwn(suffixes, suffix));
    if (!isKnown || more.length > 0) {
      const known = Object.keys(kinds).map((id) => `sandbox/${id}`);
      throw new InvalidInput(
        `The sandbox has no such model. Use ${known.join(', ')}, with a suffix or none: ${Object.keys(
          suffixes,
        )
          .map((key) => `:${key}`)
          .join(', ')}.`,
        { code: 'model_not_found', param: 'model' },
      );
    }
    if (kind && name !== kind) {
      throw new InvalidInput(`sandbox/${name} does not do ${kind}. Use sandbox/${kind}.`, {
        code: 'model_not_found',
        param: 'model',
      });
    }
  },
};
