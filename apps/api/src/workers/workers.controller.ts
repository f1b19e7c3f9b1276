/** `/v1/workers`: who is there, what runs, what is held in memory. */
import { Controller, Get, Inject } from '@nestjs/common';
import type { Page, WorkerObject } from '@millrace/contracts';
import { WorkerStore } from '#database';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import type { Caller } from '../access/caller.ts';
import { toWorkerPage, workerListWindowS } from './worker-object.ts';

@Controller('v1/workers')
export class WorkersController {
  constructor(@Inject(WorkerStore) private readonly workers: WorkerStore) {}

  /** Every worker of the last minute. */
  @Get()
  @Requires('workers:read')
  async list(@CurrentCaller() caller: Caller): Promise<Page<WorkerObject>> {
    return toWorkerPage(await this.workers.getSnapshot(workerListWindowS), caller);
  }
}
