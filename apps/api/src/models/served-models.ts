/** Which models the providers serve, by their names. */
import { kindIds } from '#catalogue';
import type { Providers } from '#providers';

/** Whether some kind of task can be run with the model. */
export function isServed(model: string, providers: Providers): boolean {
  return kindIds.some((kind) => {
    try {
      return Boolean(providers.route(model, kind, { workspaceId: null }));
    } catch {
      return false;
    }
  });
}

/** Whether the model's provider keeps models in memory. */
export const isLocalModel = (model: string, providers: Providers): boolean =>
  providers.list.some(({ id, models }) => models && model.startsWith(`${id}/`));
