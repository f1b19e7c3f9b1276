/** What this process keeps for each model that it calls: limiter, micro-batcher, call policy and packing. */
import { sleep } from '#async';
import { findKind, getPacking, type KindId } from '#catalogue';
import {
  AdaptivePacking,
  CallPolicy,
  CredentialState,
  defaultPolicyOptions,
  type PolicyClock,
  type PolicyOptions,
} from '#domain';
import type { Provider, Route } from '#providers';
import { FairCallLimiter, limitPerModel, type CallLimiter } from './call-limiter.ts';
import { MicroBatcher } from './micro-batcher.ts';

export interface ModelRuntime {
  readonly limiter: CallLimiter;
  readonly microBatcher: MicroBatcher;
  readonly policy: CallPolicy;
  /** Size of one call. */
  readonly packing: AdaptivePacking;
}

const clock: PolicyClock = {
  now: Date.now,
  random: () => Math.random(),
  wait: sleep,
};

/** Shared by all models that are called with one credential, also across providers. */
interface CredentialRuntime {
  readonly limiter: FairCallLimiter;
  readonly state: CredentialState;
}

/** The runtimes of one provider and credential, created when the first work for a model arrives. */
class ProviderRuntime {
  private readonly models = new Map<string, Omit<ModelRuntime, 'packing'>>();
  private readonly packings = new Map<string, AdaptivePacking>();

  constructor(
    private readonly provider: Pick<Provider, 'getModelConcurrency' | 'getPackLimits' | 'policy'>,
    private readonly credential: CredentialRuntime,
    private readonly options: PolicyOptions,
  ) {}

  get(model: string, kindId: KindId): ModelRuntime {
    const runtime = getOrCreate(this.models, model, () => this.createModel(model));
    const packing = getOrCreate(this.packings, `${kindId} ${model}`, () => this.createPacking(model, kindId));
    return { ...runtime, packing };
  }

  private createModel(model: string): Omit<ModelRuntime, 'packing'> {
    const { limiter: shared, state } = this.credential;
    const maxCalls = this.provider.getModelConcurrency?.(model);
    const limiter = maxCalls === undefined ? shared : limitPerModel(maxCalls, shared);
    const policy = new CallPolicy(state, clock, this.mergeOptions());
    return { limiter, microBatcher: new MicroBatcher(limiter), policy };
  }

  private mergeOptions(): PolicyOptions {
    const { budget, ...others } = this.provider.policy ?? {};
    return { ...this.options, ...others, budget: { ...this.options.budget, ...budget } };
  }

  private createPacking(model: string, kindId: KindId): AdaptivePacking {
    const { maxItems, maxTokens } = getPacking(findKind(kindId));
    return new AdaptivePacking(() => ({
      maxItems,
      maxTokens,
      ...this.provider.getPackLimits?.(kindId, model),
    }));
  }
}

export class ModelRuntimes {
  private readonly providers = new Map<string, ProviderRuntime>();
  private readonly credentials = new Map<string, CredentialRuntime>();

  constructor(private readonly options: PolicyOptions = defaultPolicyOptions) {}

  get({ provider, model, credential: { fingerprint } }: Route, kindId: KindId): ModelRuntime {
    const key = fingerprint ?? provider.id;
    const runtime = getOrCreate(this.providers, `${provider.id} ${key}`, () => {
      const credential = getOrCreate(this.credentials, key, () => ({
        limiter: new FairCallLimiter(provider.concurrency),
        state: new CredentialState(),
      }));
      return new ProviderRuntime(provider, credential, this.options);
    });
    return runtime.get(model, kindId);
  }
}

function getOrCreate<T>(map: Map<string, T>, key: string, create: () => T): T {
  let found = map.get(key);
  if (!found) map.set(key, (found = create()));
  return found;
}
