/** The provider's threads, and the micro-batches that wait for one: first come, first served. */
import { availableParallelism } from 'node:os';
import type { Embedded, EmbedJob, MicroBatch, ModelPlan } from './thread-messages.ts';
import type { LocalOptions } from './options.ts';
import { Slot } from './thread-slot.ts';

type Work = (slot: Slot) => Promise<unknown>;

interface Place {
  readonly slot: Slot;
  /** What only this slot can do: loading and unloading. */
  readonly own: Work[];
  busy: boolean;
}

export class Slots {
  private readonly places: readonly Place[];
  private readonly shared: Work[] = [];
  private readonly measured = new Map<string, MicroBatch>();

  constructor({ slots, device, cpuThreads }: LocalOptions, threadUrl?: URL) {
    const share = Math.max(1, Math.floor(availableParallelism() / slots));
    const threads = cpuThreads > 0 || device !== 'cpu' ? cpuThreads : share;
    this.places = Array.from({ length: slots }, () => ({
      slot: new Slot({ cpuThreads: threads }, threadUrl),
      own: [],
      busy: false,
    }));
  }

  /** What was measured when it was first loaded; undefined before. */
  microBatch(model: string): MicroBatch | undefined {
    return this.measured.get(model);
  }

  /** Into every slot; measured in the first. */
  async load(plan: ModelPlan): Promise<void> {
    const [first, ...rest] = this.places;
    await this.inPlace(first!, (slot) => this.ensure(slot, plan));
    await Promise.all(rest.map((place) => this.inPlace(place, (slot) => this.ensure(slot, plan))));
  }

  async unload(plan: ModelPlan): Promise<void> {
    const { model } = plan;
    await Promise.all(
      this.places.map((place) =>
        this.inPlace(place, async (slot) => {
          if (slot.hasModel(plan)) await slot.run({ type: 'unload', model });
        }),
      ),
    );
  }

  /** Given up before its turn it is never run; during it the answer is thrown away, and the slot is free when it came. */
  embed(plan: ModelPlan, job: Omit<EmbedJob, 'type' | 'model'>, signal: AbortSignal): Promise<Embedded> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.shared.indexOf(work);
        if (at !== -1) this.shared.splice(at, 1);
        reject(signal.reason as Error);
      };
      const work = (slot: Slot) =>
        this.ensure(slot, plan)
          .then(() => slot.run({ type: 'embed', model: plan.model, ...job }))
          .then(resolve, reject)
          .finally(() => signal.removeEventListener('abort', leave));
      if (signal.aborted) return leave();
      signal.addEventListener('abort', leave, { once: true });
      this.shared.push(work);
      this.go();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.places.map(({ slot }) => slot.close()));
  }

  /** A thread that was started anew has to load what the one before it held. */
  private async ensure(slot: Slot, plan: ModelPlan): Promise<void> {
    // It may have died in the very turn in which it said that the model is loaded.
    while (!slot.hasModel(plan)) {
      const measured = this.measured.get(plan.model) ?? null;
      this.measured.set(plan.model, await slot.run({ type: 'load', plan, measured }));
    }
  }

  private inPlace(place: Place, work: Work): Promise<void> {
    return new Promise((resolve, reject) => {
      place.own.push((slot) => work(slot).then(() => resolve(), reject));
      this.go();
    });
  }

  private go(): void {
    for (const place of this.places) {
      if (place.busy) continue;
      const work = place.own.shift() ?? this.shared.shift();
      if (!work) continue;
      place.busy = true;
      void work(place.slot).finally(() => {
        place.busy = false;
        this.go();
      });
    }
  }
}
