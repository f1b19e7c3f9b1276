/** The provider's threads, and the queue of micro-batches that wait for a free one, first in, first out. */
import { availableParallelism } from 'node:os';
import { onAbort } from '#async';
import type { LocalOptions } from './options.ts';
import type { Embedded, EmbedJob, MicroBatch, ModelPlan } from './thread-messages.ts';
import { ThreadSlot } from './thread-slot.ts';

type Work = (slot: ThreadSlot) => Promise<unknown>;

interface SlotState {
  readonly slot: ThreadSlot;
  /** Loads and unloads for this slot only. They run before the shared queue. */
  readonly ownQueue: Work[];
  isBusy: boolean;
}

export class ThreadSlots {
  private readonly slots: readonly SlotState[];
  private readonly sharedQueue: Work[] = [];
  private readonly measured = new Map<string, MicroBatch>();

  constructor({ slots, device, cpuThreads }: LocalOptions, threadUrl?: URL) {
    const share = Math.max(1, Math.floor(availableParallelism() / slots));
    const threads = cpuThreads > 0 || device !== 'cpu' ? cpuThreads : share;
    this.slots = Array.from({ length: slots }, () => ({
      slot: new ThreadSlot({ cpuThreads: threads }, threadUrl),
      ownQueue: [],
      isBusy: false,
    }));
  }

  /** @returns undefined until the model's first load has measured it. */
  getMicroBatch(model: string): MicroBatch | undefined {
    return this.measured.get(model);
  }

  /** Loads the model into every slot. The first slot measures it. */
  async load(plan: ModelPlan): Promise<void> {
    const [first, ...rest] = this.slots;
    await this.runInSlot(first!, (slot) => this.ensureLoaded(slot, plan));
    await Promise.all(rest.map((state) => this.runInSlot(state, (slot) => this.ensureLoaded(slot, plan))));
  }

  async unload(plan: ModelPlan): Promise<void> {
    const { model } = plan;
    await Promise.all(
      this.slots.map((state) =>
        this.runInSlot(state, async (slot) => {
          if (slot.hasModel(plan)) await slot.run({ type: 'unload', model });
        }),
      ),
    );
  }

  /**
   * A call that is aborted before it starts never runs. One that is aborted while it runs rejects at once; the slot is
   * free again when the thread has finished it.
   */
  embed(plan: ModelPlan, job: Omit<EmbedJob, 'type' | 'model'>, signal: AbortSignal): Promise<Embedded> {
    const { promise, resolve, reject } = Promise.withResolvers<Embedded>();
    const work = (slot: ThreadSlot) =>
      this.ensureLoaded(slot, plan)
        .then(() => slot.run({ type: 'embed', model: plan.model, ...job }))
        .then(resolve, reject)
        .finally(() => removeListener());
    this.sharedQueue.push(work);
    const removeListener = onAbort(signal, (reason) => {
      const at = this.sharedQueue.indexOf(work);
      if (at !== -1) this.sharedQueue.splice(at, 1);
      reject(reason);
    });
    this.startWork();
    return promise;
  }

  async close(): Promise<void> {
    await Promise.all(this.slots.map(({ slot }) => slot.close()));
  }

  /** A thread that was restarted loads the model again. */
  private async ensureLoaded(slot: ThreadSlot, plan: ModelPlan): Promise<void> {
    // A loop, because the thread may die in the same turn of the event loop in which it reports the model as loaded.
    while (!slot.hasModel(plan)) {
      const measured = this.measured.get(plan.model) ?? null;
      this.measured.set(plan.model, await slot.run({ type: 'load', plan, measured }));
    }
  }

  private runInSlot(state: SlotState, work: Work): Promise<void> {
    return new Promise((resolve, reject) => {
      state.ownQueue.push((slot) => work(slot).then(() => resolve(), reject));
      this.startWork();
    });
  }

  private startWork(): void {
    for (const state of this.slots) {
      if (state.isBusy) continue;
      const work = state.ownQueue.shift() ?? this.sharedQueue.shift();
      if (!work) continue;
      state.isBusy = true;
      void work(state.slot).finally(() => {
        state.isBusy = false;
        this.startWork();
      });
    }
  }
}
