/**
 * Requests of this process that wait for the end of a task. The bus delivers it, with the output if that is small.
 * The bus may drop messages, so Postgres is polled once a second, for all waiting requests together.
 */
import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { onAbort, waitAtMost } from '#async';
import { TaskStore, type EndedTask } from '#database';
import type { Bus, Unsubscribe } from '#realtime';
import type { Logger } from '#telemetry';
import { BUS, LOGGER } from '../infrastructure/tokens.ts';

export interface TaskWaiter {
  /** Ends the wait. @returns null on timeout, when `signal` aborts, or when this process stops. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<EndedTask | null>;
  /** Removes the waiter if nothing will wait. */
  cancel(): void;
}

type Listener = (end: EndedTask | null) => void;

const pollIntervalMs = 1_000;
/** How long a process that stops lets its requests wait for their tasks. */
const shutdownGraceMs = 5_000;
const unsubscribeTimeoutMs = 1_000;

@Injectable()
export class TaskWaiters implements OnModuleInit, OnModuleDestroy {
  private readonly listeners = new Map<string, Set<Listener>>();
  private subscription: Promise<Unsubscribe> | undefined;
  private pollTimer: NodeJS.Timeout | undefined;
  private onEmpty: () => void = () => undefined;

  constructor(
    @Inject(TaskStore) private readonly tasks: Pick<TaskStore, 'listEnded'>,
    @Inject(BUS) private readonly bus: Pick<Bus, 'subscribe'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    this.subscription = this.bus.subscribe(
      'task.ended',
      ({ taskId, end }) => {
        if (end) this.settle({ taskId, outputKey: null, ...end });
        else if (this.listeners.has(taskId)) void this.poll([taskId]);
      },
      () => void this.poll(),
    );
    // Rejected while the bus is unavailable; polling alone finds the ends then.
    this.subscription.catch(() => undefined);
    this.pollTimer = setInterval(() => void this.poll(), pollIntervalMs);
  }

  async onModuleDestroy(): Promise<void> {
    if (this.listeners.size > 0) {
      await waitAtMost(shutdownGraceMs, new Promise<void>((resolve) => (this.onEmpty = resolve)));
    }
    clearInterval(this.pollTimer);
    for (const listeners of [...this.listeners.values()]) {
      for (const listener of [...listeners]) listener(null);
    }
    const unsubscribed = this.subscription?.then((unsubscribe) => unsubscribe());
    if (unsubscribed) await waitAtMost(unsubscribeTimeoutMs, unsubscribed);
  }

  /** Call it before the task can end, or with `mayHaveEnded`. */
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
      async wait(timeoutMs, signal) {
        const giveUp = () => resolve(null);
        const timer = setTimeout(giveUp, timeoutMs);
        const removeListener = onAbort(signal, giveUp);
        try {
          return await promise;
        } finally {
          clearTimeout(timer);
          removeListener();
          cancel();
        }
      },
    };
  }

  private settle(end: EndedTask): void {
    for (const listener of this.listeners.get(end.taskId) ?? []) listener(end);
  }

  private async poll(taskIds: readonly string[] = [...this.listeners.keys()]): Promise<void> {
    if (taskIds.length === 0) return;
    try {
      for (const end of await this.tasks.listEnded(taskIds)) this.settle(end);
    } catch (error) {
      this.log.debug({ err: error }, 'could not read which tasks have ended');
    }
  }
}
