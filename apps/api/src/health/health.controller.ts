/** Health checks of the process and of what it depends on, and metrics. */
import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Database, WorkerStore } from '#database';
import type { Queues } from '#queues';
import type { ObjectStorage } from '#storage';
import { renderMetrics } from '#telemetry';
import { Public } from '../access/decorators.ts';
import { OBJECTS, QUEUES } from '../infrastructure/tokens.ts';

interface Check {
  status: 'ok' | 'failing' | 'none';
  message?: string;
}

/** Time limit of one check, and how long the result of the object storage check (which writes) is reused. */
const checkMs = 2_500;
const storeGoodMs = 5_000;
const workerSeenS = 10;

@Controller()
export class HealthController {
  private objectsProbe: { at: number; check: Promise<Check> } | null = null;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(WorkerStore) private readonly workers: WorkerStore,
    @Inject(QUEUES) private readonly queues: Queues,
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
  ) {}

  @Get('health/live')
  @Public()
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** 503 when a request could not be served, or when there are workers but none of them takes work. */
  @Get('health/ready')
  @Public()
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const [postgres, queue, store, workers] = await Promise.all([
      runCheck(() => this.database.ping()),
      runCheck(() => this.queues.ping()),
      this.checkObjects(),
      this.checkWorkers(),
    ]);
    const checks = { postgres, queue, store, workers };
    const isReady = Object.values(checks).every(({ status }) => status !== 'failing');
    await reply.status(isReady ? 200 : 503).send({ status: isReady ? 'ok' : 'failing', checks });
  }

  @Get('metrics')
  @Public()
  async metrics(@Res() reply: FastifyReply): Promise<void> {
    const { contentType, text } = await renderMetrics();
    await reply.header('content-type', contentType).send(text);
  }

  private checkObjects(): Promise<Check> {
    const now = performance.now();
    if (!this.objectsProbe || now - this.objectsProbe.at > storeGoodMs) {
      this.objectsProbe = { at: now, check: runCheck(() => this.objects.probe()) };
    }
    return this.objectsProbe.check;
  }

  private async checkWorkers(): Promise<Check> {
    let seen: Awaited<ReturnType<WorkerStore['listAlive']>> = [];
    const asked = await runCheck(async () => void (seen = await this.workers.listAlive(workerSeenS)));
    if (asked.status !== 'ok') return asked;
    if (seen.length === 0)
      return { status: 'none', message: 'No worker is running: work waits until one starts.' };
    const consuming = seen.filter((worker) => worker.consuming).length;
    const message = `${consuming} of ${seen.length} take work.`;
    return { status: consuming > 0 ? 'ok' : 'failing', message };
  }
}

async function runCheck(check: () => Promise<void>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${checkMs} ms`)), checkMs);
  });
  try {
    await Promise.race([check(), late]);
    return { status: 'ok' };
  } catch (error) {
    return { status: 'failing', message: (error as Error).message };
  } finally {
    clearTimeout(timer);
  }
}
