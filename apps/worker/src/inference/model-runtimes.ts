/** What this process knows of each provider that its work goes to, made when the first work comes. */
import { setTimeout as wait } from 'node:timers/promises';
import { kindOf, packingOf, type KindId } from '#catalogue';
import {
  CredentialState,
  AdaptivePacking,
  defaultPolicyOptions,
  CallPolicy,
  type PolicyClock,
  type PolicyOptions,
} from '#domain';
import type { Provider, Route } from '#providers';
import { limitPerModel, FairCallLimiter, type CallLimiter } from './call-limiter.ts';
import { MicroBatcher } from './micro-batcher.ts';

export interface ModelRuntime {
  readonly limiter: CallLimiter;
  readonly microBatcher: MicroBatcher;
  readonly policy: CallPolicy;
  /** How much goes into one call. */
  readonly packing: AdaptivePacking;
}

const chance: PolicyClock = {
  now: Date.now,
  random: () => Math.random(),
  wait: (ms, signal) => wait(ms, undefined, { signal }),
};

/** What all that is called with one token shares: so many calls at once, and whether it is accepted. */
interface Shared {
  readonly device: FairCallLimiter;
  readonly account: CredentialState;
}

type Known = Pick<Provider, 'concurrency' | 'getModelConcurrency' | 'getPackLimits' | 'policy'>;

class ServedProvider {
  private readonly models = new Map<string, Omit<ModelRuntime, 'packing'>>();
  private readonly packings = new Map<string, AdaptivePacking>();

  constructor(
    private readonly provider: Known,
    private readonly shared: Shared,
    private readonly options: PolicyOptions,
  ) {}

  of(model: string, kindId: KindId): ModelRuntime {
    const served = made(this.models, model, () => this.modelOf(model));
    const packing = made(this.packings, `${kindId} ${model}`, () => this.packingOf(model, kindId));
    return { ...served, packing };
  }

  private modelOf(model: string): Omit<ModelRuntime, 'packing'> {
    const { account } = this.shared;
    const bound = this.provider.getModelConcurrency?.(model);
    const limiter = bound === undefined ? this.shared.device : limitPerModel(bound, this.shared.device);
    return {
      limiter,
      microBatcher: new MicroBatcher(limiter),
      policy: new CallPolicy(account, chance, this.policy()),
    };
  }

  private policy(): PolicyOptions {
    const { budget, ...others } = this.provider.policy ?? {};
    return { ...this.options, ...others, budget: { ...this.options.budget, ...budget } };
  }

  private packingOf(model: string, kindId: KindId): AdaptivePacking {
    const { maxItems, maxTokens } = packingOf(kindOf(kindId));
    return new AdaptivePacking(() => ({
      maxItems,
      maxTokens,
      ...this.provider.getPackLimits?.(kindId, model),
    }));
  }
}

export class ModelRuntimes {
  private readonly served = new Map<string, ServedProvider>();
  private readonly shared = new Map<string, Shared>();

  constructor(private readonly options: PolicyOptions = defaultPolicyOptions) {}

  get({ provider, model }: Route, kindId: KindId): ModelRuntime {
    const { id, token = id } = provider;
    const shared = () =>
      made(this.shared, token, () => ({
        device: new FairCallLimiter(provider.concurrency),
        account: new CredentialState(),
      }));
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
