/** What this process knows of each provider that its work goes to, made when the first work comes. */
import { setTimeout as wait } from 'node:timers/promises';
import { kindOf, packingOf, type KindId } from '#catalogue';
import { Account, AdaptivePacking, policyOptions, Upstream, type Chance, type PolicyOptions } from '#domain';
import type { Provider, Route } from '#providers';
import { Device } from './device.ts';
import { DirectLane } from './direct-lane.ts';

export interface Served {
  readonly device: Device;
  readonly direct: DirectLane;
  readonly upstream: Upstream;
  /** How much goes into one call. */
  readonly packing: AdaptivePacking;
}

const chance: Chance = {
  now: Date.now,
  random: () => Math.random(),
  wait: (ms, signal) => wait(ms, undefined, { signal }),
};

/** A provider's slots and its account, which all of its models share. */
class ServedProvider {
  private readonly device: Device;
  private readonly direct: DirectLane;
  private readonly account = new Account();
  private readonly upstreams = new Map<string, Upstream>();
  private readonly packings = new Map<string, AdaptivePacking>();

  constructor(
    private readonly provider: Pick<Provider, 'concurrency' | 'packing' | 'policy'>,
    private readonly options: PolicyOptions,
  ) {
    this.device = new Device(provider.concurrency);
    this.direct = new DirectLane(this.device);
  }

  of(model: string, kindId: KindId): Served {
    const { device, direct } = this;
    const upstream = made(this.upstreams, model, () => new Upstream(this.account, chance, this.policy()));
    const packing = made(this.packings, `${kindId} ${model}`, () => this.packingOf(model, kindId));
    return { device, direct, upstream, packing };
  }

  private policy(): PolicyOptions {
    const { budget, ...others } = this.provider.policy ?? {};
    return { ...this.options, ...others, budget: { ...this.options.budget, ...budget } };
  }

  private packingOf(model: string, kindId: KindId): AdaptivePacking {
    const { maxItems, maxTokens } = packingOf(kindOf(kindId));
    return new AdaptivePacking(() => ({ maxItems, maxTokens, ...this.provider.packing?.(kindId, model) }));
  }
}

export class Devices {
  private readonly served = new Map<string, ServedProvider>();

  constructor(private readonly options: PolicyOptions = policyOptions) {}

  of({ provider, model }: Route, kindId: KindId): Served {
    return made(this.served, provider.id, () => new ServedProvider(provider, this.options)).of(model, kindId);
  }
}

function made<T>(map: Map<string, T>, key: string, make: () => T): T {
  let found = map.get(key);
  if (!found) map.set(key, (found = make()));
  return found;
}
