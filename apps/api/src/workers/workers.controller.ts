/** `/v1/workers`: who is there, what runs, what is held in memory. */
import { Controller, Get, Inject } from '@nestjs/common';
import type { Page, WorkerObject } from '#contracts';
import { toPage } from '#contracts';
import { WorkerStore, type Caller, type SeenWorker } from '#database';
import { CallerOf } from '../access/api-key.guard.ts';
import { seconds } from '../wire/time.ts';

/** Seconds since the last beat: until a worker counts as silent, and until it is no longer shown. */
const silentAfterS = 10;
const shownForS = 60;

@Controller('v1/workers')
export class WorkersController {
  constructor(@Inject(WorkerStore) private readonly workers: WorkerStore) {}

  /** Every worker of the last minute, oldest first: there are never more than fit on a page. */
  @Get()
  async list(@CallerOf() caller: Caller): Promise<Page<WorkerObject>> {
    const seen = await this.workers.seen(shownForS);
    return toPage(
      seen.map((worker) => toWorkerObject(worker, caller)),
      seen.length,
    );
  }
}

/** Workers serve every workspace: what the others run, and on which machine, is the operator's to see. */
function toWorkerObject(
  worker: SeenWorker,
  { workspaceId, operates }: Caller,
  now = Date.now(),
): WorkerObject {
  const isSilent = now - worker.seenAt.getTime() > silentAfterS * 1_000;
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
