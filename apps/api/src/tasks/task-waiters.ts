/**
 * Requests of this process that wait for a task's end. The bus brings it, with the answer where that is small; what
 * the bus may have lost is asked of Postgres, once a second for all of them together.
 */
import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { TaskStore, type EndedTask } from '#database';
import type { Bus, Unsubscribe } from '#realtime';
import type { Logger } from '#telemetry';
import { BUS, LOGGER } from '../infrastructure/tokens.ts';

export interface TaskWaiter {
  /** @returns how it ended; null when time is up, the caller has left or this process is leaving. Ends the wait. */
  wait(ms: number, left: AbortSignal): Promise<EndedTask | null>;
  /** Nobody will wait. */
  cancel(): void;
}

type Listener = (end: EndedTask | null) => void;

const pollIntervalMs = 1_000;
/** How long a process that leaves lets its callers wait on. */
const shutdownGraceMs = 5_000;

@Injectable()
export class TaskWaiters implements OnModuleInit, OnModuleDestroy {
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly subscriptions: Promise<Unsubscribe>[] = [];
  private pollTimer: NodeJS.Timeout | undefined;
  private onEmpty: () => void = () => undefined;

  constructor(
    @Inject(TaskStore) private readonly tasks: Pick<TaskStore, 'listEnded'>,
    @Inject(BUS) private readonly bus: Pick<Bus, 'subscribe'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const listening = this.bus.subscribe(
      'task.ended',
      ({ taskId, end }) => {
        if (end) this.settle({ taskId, outputKey: null, ...end });
        else if (this.listeners.has(taskId)) void this.poll([taskId]);
      },
      () => void this.poll(),
    );
    // It waits for a bus that is away; until then the clock alone looks.
    listening.catch(() => undefined);
    this.subscriptions.push(listening);
    this.pollTimer = setInterval(() => void this.poll(), pollIntervalMs);
  }

  async onModuleDestroy(): Promise<void> {
    if (this.listeners.size > 0) {
      await Promise.race([
        new Promise<void>((resolve) => (this.onEmpty = resolve)),
        new Promise((resolve) => setTimeout(resolve, shutdownGraceMs).unref()),
      ]);
    }
    clearInterval(this.pollTimer);
    for (const listeners of [...this.listeners.values()]) for (const tell of [...listeners]) tell(null);
    const ends = this.subscriptions.map(async (subscription) => (await subscription)());
    await Promise.race([
      Promise.allSettled(ends),
      new Promise((resolve) => setTimeout(resolve, 1_000).unref()),
    ]);
  }

  /** To be called before the task can have ended, or with `mayHaveEnded`. */
  register(taskId: string, { mayHaveEnded = false } = {}): TaskWaiter {
    const { promise, resolve } = Promise.withResolvers<EndedTask | null>();
    const listeners = this.listeners.get(taskId) ?? new Set();
    this.listeners.set(taskId, listeners.add(resolve));
    const cancel = () => {
      listeners.delete(resolve);
      if (listeners.size > 0 || this.listeners.get(taskId) !== listeners) return;
      this.listeners.delete(taskId);
      if (this.listeners.size === 0) this.onEmpty();
    };
    if (mayHaveEnded) void this.poll([taskId]);
    return {
      cancel,
      async wait(ms, left) {
        const give = () => resolve(null);
        const timer = setTimeout(give, ms);
        left.addEventListener('abort', give, { once: true });
        if (left.aborted) give();
        try {
          return await promise;
        } finally {
          clearTimeout(timer);
          left.removeEventListener('abort', give);
          cancel();
        }
      },
    };
  }

  private settle(end: EndedTask): void {
    for (const tell of this.listeners.get(end.taskId) ?? []) tell(end);
  }

  private async poll(ids: readonly string[] = [...this.listeners.keys()]): Promise<void> {
    if (ids.length === 0) return;
    try {
      for (const end of await this.tasks.listEnded(ids)) this.settle(end);
    } catch (error) {
      this.log.debug({ err: error }, 'could not ask which tasks have ended');
    }
  }
}
