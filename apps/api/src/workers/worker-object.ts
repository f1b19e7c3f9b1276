/** Workers as the wire shows them, to whoever asks: those of a list are those of the socket's room. */
import { toPage, type Page, type WorkerObject } from '#contracts';
import type { SeenWorker, SeenWorkers } from '#database';
import type { Viewer } from '../live/rooms.ts';
import { seconds } from '../wire/time.ts';

/** Seconds since the last beat: until a worker counts as silent, and until it is no longer shown. */
const silentAfterS = 10;
export const workersShownForS = 60;

/** Oldest first: there are never more than fit on a page. */
export function toWorkerPage({ at, workers }: SeenWorkers, viewer: Viewer): Page<WorkerObject> {
  const shown = workers.map((worker) => toWorkerObject(worker, viewer, at));
  return toPage(shown, shown.length);
}

/** Workers serve every workspace: what the others run, and on which machine, is the operator's to see. */
function toWorkerObject(worker: SeenWorker, { workspaceId, operates }: Viewer, at: Date): WorkerObject {
  const isSilent = at.getTime() - worker.seenAt.getTime() > silentAfterS * 1_000;
  const visible = worker.running.filter(({ workspace }) => operates || workspace === workspaceId);
  return {
    id: worker.id,
    object: 'worker',
    pools: worker.pools,
    slots: worker.slots,
    status: isSilent ? 'silent' : worker.consuming ? 'ready' : 'deaf',
    version: worker.version,
    started_at: seconds(worker.startedAt),
    seen_at: seconds(worker.seenAt),
    memory_bytes: worker.memoryBytes,
    device: worker.device,
    models: worker.models,
    running_count: worker.running.length,
    running: visible.map(({ workspace: _, ...work }) => work),
    host: operates ? worker.host : null,
    pid: operates ? worker.pid : null,
  };
}
