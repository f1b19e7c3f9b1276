/** A worker as a caller may see it, over HTTP and sockets alike. */
import { toPage, type Page, type WorkerObject } from '@millrace/contracts';
import type { AliveWorker, WorkerSnapshot } from '#database';
import { hasPermission } from '../access/caller.ts';
import type { Viewer } from '../live/rooms.ts';
import { toUnixSeconds } from '../http/unix-seconds.ts';

/** Seconds since the last heartbeat: after which a worker counts as unresponsive, and after which it is not listed. */
const unresponsiveAfterS = 10;
export const workerListWindowS = 60;

/** Oldest first. A deployment never has more workers than fit on a page. */
export function toWorkerPage({ takenAt, workers }: WorkerSnapshot, viewer: Viewer): Page<WorkerObject> {
  const shown = workers.map((worker) => toWorkerObject(worker, viewer, takenAt));
  return toPage(shown, shown.length);
}

/**
 * Workers serve every workspace. The work of other workspaces and the machines are shown only to callers with
 * `workers:inspect`.
 */
function toWorkerObject(worker: AliveWorker, viewer: Viewer, at: Date): WorkerObject {
  const canInspect = hasPermission(viewer, 'workers:inspect');
  const isUnresponsive = at.getTime() - worker.seenAt.getTime() > unresponsiveAfterS * 1_000;
  const visible = worker.running.filter(({ workspace }) => canInspect || workspace === viewer.workspaceId);
  return {
    id: worker.id,
    object: 'worker',
    pools: worker.pools,
    slots: worker.slots,
    status: isUnresponsive ? 'unresponsive' : worker.consuming ? 'ready' : 'not_consuming',
    version: worker.version,
    started_at: toUnixSeconds(worker.startedAt),
    seen_at: toUnixSeconds(worker.seenAt),
    memory_bytes: worker.memoryBytes,
    hardware: worker.device,
    models: worker.models,
    running_count: worker.running.length,
    running: visible.map(({ workspace: _, ...work }) => work),
    host: canInspect ? worker.host : null,
    pid: canInspect ? worker.pid : null,
  };
}
