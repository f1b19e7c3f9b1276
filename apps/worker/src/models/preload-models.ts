/** Loads the models of MODELS_PRELOAD when the worker starts. */
import type { Providers } from '#providers';
import type { Logger } from '#telemetry';

/** The worker takes work in the meantime. A model that can't be loaded only fails its own calls. */
export async function preloadModels(
  { route }: Pick<Providers, 'route'>,
  names: readonly string[],
  log: Logger,
): Promise<void> {
  for (const name of names) {
    try {
      const fullName = name.startsWith('local/') ? name : `local/${name}`;
      const { provider, model } = route(fullName, 'embeddings', { workspaceId: null });
      await provider.models?.load(model);
      log.info({ model: name }, 'loaded a model of MODELS_PRELOAD');
    } catch (error) {
      log.error({ err: error, model: name }, 'could not load a model of MODELS_PRELOAD');
    }
  }
}
