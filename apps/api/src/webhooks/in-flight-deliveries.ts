/** The webhook requests that this process has in flight, and how many more it may send. */

/** Requests at once: started in the last second, all, to endpoints that failed recently. */
const limits = { young: 128, all: 1_024, failing: 32 };
/** Requests at once to one endpoint, and to one that failed recently. */
export const maxPerEndpoint = 16;
const maxPerFailingEndpoint = 4;
const youngMs = 1_000;

interface InFlight {
  readonly endpointId: string;
  readonly startedAt: number;
  readonly isFailing: boolean;
}

export class InFlightDeliveries {
  private readonly deliveries = new Map<string, InFlight>();

  get size(): number {
    return this.deliveries.size;
  }

  has(deliveryId: string): boolean {
    return this.deliveries.has(deliveryId);
  }

  add(deliveryId: string, endpointId: string, isFailing: boolean): void {
    this.deliveries.set(deliveryId, { endpointId, startedAt: performance.now(), isFailing });
  }

  delete(deliveryId: string): void {
    this.deliveries.delete(deliveryId);
  }

  /** @returns how many more may be sent, and how many of those to endpoints that failed recently. */
  countFree(): { limit: number; failingLimit: number } {
    const youngSince = performance.now() - youngMs;
    let [young, failing] = [0, 0];
    for (const { startedAt, isFailing } of this.deliveries.values()) {
      if (startedAt > youngSince) young++;
      if (isFailing) failing++;
    }
    const limit = Math.min(limits.young - young, limits.all - this.size);
    return { limit, failingLimit: Math.max(0, Math.min(limit, limits.failing - failing)) };
  }

  /** Of each endpoint that has requests in flight. */
  getRemainingCapacity(): Map<string, number> {
    const capacity = new Map<string, number>();
    for (const { endpointId, isFailing } of this.deliveries.values()) {
      const before = capacity.get(endpointId) ?? (isFailing ? maxPerFailingEndpoint : maxPerEndpoint);
      capacity.set(endpointId, Math.max(0, before - 1));
    }
    return capacity;
  }
}
