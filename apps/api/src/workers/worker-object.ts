/** Workers as the wire shows them, to whoever asks: those of a list are those of the socket's room. */
import { toPage, type Page, type WorkerObject } from '@millrace/contracts';
import type { SeenWorker, SeenWorkers } from '#database';
import type { Viewer } from '../live/rooms.ts';
import { toUnixSeconds } from '../http/unix-seconds.ts';

/** Seconds since the last beat: until a worker counts as silent, and until it is no longer shown. */
const unresponsiveAfterS = 10;
export const workerListWindowS = 60;

/** Oldest first: there are never more than fit on a page. */
export function toWorkerPage({ takenAt, workers }: SeenWorkers, viewer: Viewer): Page<WorkerObject> {
  const shown = workers.map((worker) => toWorkerObject(worker, viewer, takenAt));
  return toPage(shown, shown.length);
}

/** Workers serve every workspace: what the others run, and on which machine, is the operator's to see. */
function toWorkerObject(
  worker: SeenWorker,
  { workspaceId, operatesInstance }: Viewer,
  at: Date,
): WorkerObject {
  const isSilent = at.getTime() - worker.seenAt.getTime() > unresponsiveAfterS * 1_000;
  const visible = worker.running.filter(({ workspace }) => operatesInstance || workspace === workspaceId);
  return {
    id: worker.id,
    object: 'worker',
    pools: worker.pools,
    slots: worker.slots,
    status: isSilent ? 'silent' : worker.consuming ? 'ready' : 'deaf',
    version: worker.version,
    started_at: toUnixSeconds(worker.startedAt),
    seen_at: toUnixSeconds(worker.seenAt),
    memory_bytes: worker.memoryBytes,
    device: worker.device,
    models: worker.models,
    running_count: worker.running.length,
    running: visible.map(({ workspace: _, ...work }) => work),
    host: operatesInstance ? worker.host : null,
    pid: operatesInstance ? worker.pid : null,
  };
}
