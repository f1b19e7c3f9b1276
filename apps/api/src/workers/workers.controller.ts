/** `/v1/workers`: who is there, what runs, what is held in memory. */
import { Controller, Get, Inject } from '@nestjs/common';
import type { Page, WorkerObject } from '@millrace/contracts';
import { WorkerStore, type Caller } from '#database';
import { CurrentCaller } from '../access/access.guard.ts';
import { toWorkerPage, workerListWindowS } from './worker-object.ts';

@Controller('v1/workers')
export class WorkersController {
  constructor(@Inject(WorkerStore) private readonly workers: WorkerStore) {}

  /** Every worker of the last minute. */
  @Get()
  async list(@CurrentCaller() caller: Caller): Promise<Page<WorkerObject>> {
    return toWorkerPage(await this.workers.getSnapshot(workerListWindowS), caller);
  }
}
