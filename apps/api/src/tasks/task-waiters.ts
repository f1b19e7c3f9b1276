/**
 * Requests of this process that wait for a task's end. The bus brings it, with the answer where that is small; what
 * the bus may have lost is asked of Postgres, once a second for all of them together.
 */
import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { TaskStore, type EndedTask } from '#database';
import type { Bus, Unsubscribe } from '#realtime';
import type { Logger } from '#telemetry';
import { BUS, LOGGER } from '../tokens.ts';

export interface Waiting {
  /** @returns how it ended; null when time is up, the caller has left or this process is leaving. Ends the wait. */
  within(ms: number, left: AbortSignal): Promise<EndedTask | null>;
  /** Nobody will wait. */
  forget(): void;
}

type Listener = (end: EndedTask | null) => void;

const lookEveryMs = 1_000;
/** How long a process that leaves lets its callers wait on. */
const graceMs = 5_000;

@Injectable()
export class TaskWaiters implements OnModuleInit, OnModuleDestroy {
  private readonly waiting = new Map<string, Set<Listener>>();
  private readonly subscribed: Promise<Unsubscribe>[] = [];
  private clock: NodeJS.Timeout | undefined;
  private onEmpty: () => void = () => undefined;

  constructor(
    @Inject(TaskStore) private readonly tasks: Pick<TaskStore, 'ended'>,
    @Inject(BUS) private readonly bus: Pick<Bus, 'subscribe'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const listening = this.bus.subscribe(
      'task.ended',
      ({ taskId, end }) => {
        if (end) this.tell({ taskId, outputKey: null, ...end });
        else if (this.waiting.has(taskId)) void this.look([taskId]);
      },
      () => void this.look(),
    );
    // It waits for a bus that is away; until then the clock alone looks.
    listening.catch(() => undefined);
    this.subscribed.push(listening);
    this.clock = setInterval(() => void this.look(), lookEveryMs);
  }

  async onModuleDestroy(): Promise<void> {
    if (this.waiting.size > 0) {
      await Promise.race([
        new Promise<void>((resolve) => (this.onEmpty = resolve)),
        new Promise((resolve) => setTimeout(resolve, graceMs).unref()),
      ]);
    }
    clearInterval(this.clock);
    for (const listeners of [...this.waiting.values()]) for (const tell of [...listeners]) tell(null);
    const ends = this.subscribed.map(async (subscription) => (await subscription)());
    await Promise.race([
      Promise.allSettled(ends),
      new Promise((resolve) => setTimeout(resolve, 1_000).unref()),
    ]);
  }

  /** To be called before the task can have ended, or with `mayHaveEnded`. */
  expect(taskId: string, { mayHaveEnded = false } = {}): Waiting {
    const { promise, resolve } = Promise.withResolvers<EndedTask | null>();
    const listeners = this.waiting.get(taskId) ?? new Set();
    this.waiting.set(taskId, listeners.add(resolve));
    const forget = () => {
      listeners.delete(resolve);
      if (listeners.size > 0 || this.waiting.get(taskId) !== listeners) return;
      this.waiting.delete(taskId);
      if (this.waiting.size === 0) this.onEmpty();
    };
    if (mayHaveEnded) void this.look([taskId]);
    return {
      forget,
      async within(ms, left) {
        const give = () => resolve(null);
        const timer = setTimeout(give, ms);
        left.addEventListener('abort', give, { once: true });
        if (left.aborted) give();
        try {
          return await promise;
        } finally {
          clearTimeout(timer);
          left.removeEventListener('abort', give);
          forget();
        }
      },
    };
  }

  private tell(end: EndedTask): void {
    for (const tell of this.waiting.get(end.taskId) ?? []) tell(end);
  }

  private async look(ids: readonly string[] = [...this.waiting.keys()]): Promise<void> {
    if (ids.length === 0) return;
    try {
      for (const end of await this.tasks.ended(ids)) this.tell(end);
    } catch (error) {
      this.log.debug({ err: error }, 'could not ask which tasks have ended');
    }
  }
}
