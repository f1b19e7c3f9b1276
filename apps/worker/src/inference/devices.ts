/** What this process knows of each provider that its work goes to, made when the first work comes. */
import { setTimeout as wait } from 'node:timers/promises';
import { kindOf, packingOf, type KindId } from '#catalogue';
import { Account, AdaptivePacking, policyOptions, Upstream, type Chance, type PolicyOptions } from '#domain';
import type { Provider, Route } from '#providers';
import { bounded, Device, type Turns } from './device.ts';
import { DirectLane } from './direct-lane.ts';

export interface Served {
  readonly device: Turns;
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

/** What all that is called with one token shares: so many calls at once, and whether it is accepted. */
interface Shared {
  readonly device: Device;
  readonly account: Account;
}

type Known = Pick<Provider, 'concurrency' | 'concurrencyOf' | 'packing' | 'policy'>;

class ServedProvider {
  private readonly models = new Map<string, Omit<Served, 'packing'>>();
  private readonly packings = new Map<string, AdaptivePacking>();

  constructor(
    private readonly provider: Known,
    private readonly shared: Shared,
    private readonly options: PolicyOptions,
  ) {}

  of(model: string, kindId: KindId): Served {
    const served = made(this.models, model, () => this.modelOf(model));
    const packing = made(this.packings, `${kindId} ${model}`, () => this.packingOf(model, kindId));
    return { ...served, packing };
  }

  private modelOf(model: string): Omit<Served, 'packing'> {
    const { account } = this.shared;
    const bound = this.provider.concurrencyOf?.(model);
    const device = bound === undefined ? this.shared.device : bounded(bound, this.shared.device);
    return { device, direct: new DirectLane(device), upstream: new Upstream(account, chance, this.policy()) };
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
  private readonly shared = new Map<string, Shared>();

  constructor(private readonly options: PolicyOptions = policyOptions) {}

  of({ provider, model }: Route, kindId: KindId): Served {
    const { id, token = id } = provider;
    const shared = () =>
      made(this.shared, token, () => ({ device: new Device(provider.concurrency), account: new Account() }));
    return made(this.served, id, () => new ServedProvider(provider, shared(), this.options)).of(
      model,
      kindId,
    );
  }
}

function made<T>(map: Map<string, T>, key: string, make: () => T): T {
  let found = map.get(key);
  if (!found) map.set(key, (found = make()));
  return found;
}
