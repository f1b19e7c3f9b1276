/**
 * Waits for a permit of the provider before a task is claimed, so that a task is `running` only while it is called, and
 * `queued` with its position until then. Requests that share calls (embeddings) wait after the claim, because a call is
 * packed from the requests that wait.
 */
import { findKind, type KindId } from '#catalogue';
import type { Providers, Route } from '#providers';
import { JobInterrupted, type TaskRoute } from '#queues';
import type { Release } from '../inference/call-limiter.ts';
import type { ModelRuntimes } from '../inference/model-runtimes.ts';

export interface AcquirePermitDeps {
  readonly runtimes: ModelRuntimes;
  readonly route: Providers['route'];
}

/**
 * @returns null if the task waits after its claim, or no longer waits: its claim then tells what became of it.
 * @throws the reason of the signal, if the job was given to another worker.
 */
export async function acquirePermit(
  task: TaskRoute | undefined,
  deps: AcquirePermitDeps,
  signal: AbortSignal,
): Promise<Release | null> {
  if (!task) return null;
  const kind = task.kind as KindId;
  const route = findRoute(task, deps);
  // A model that has to be loaded first would hold a permit that others could use.
  if (!route || findKind(kind).packing || route.provider.models) return null;
  try {
    return await deps.runtimes.get(route, kind).limiter.acquireDirect(signal);
  } catch (error) {
    if (error instanceof JobInterrupted && error.reason !== 'lock_lost') return null;
    throw error;
  }
}

/** @returns null if no provider serves the model any more: the claimed task then fails with the reason. */
function findRoute({ model, kind, workspaceId }: TaskRoute, { route }: AcquirePermitDeps): Route | null {
  try {
    return route(model, kind as KindId, { workspaceId });
  } catch {
    return null;
  }
}
