/** A provider is a table of handlers, one for each kind that it can run. The table is its list of capabilities. */
import type { KindId } from '#catalogue';
import type { PackLimits, PolicyOverrides } from '#domain';
import type { ProviderCredential } from './credential.ts';
import type { ModelHost } from './model-host.ts';
import type { OptionTable } from './option-rules.ts';
import type { Handler, ModelAccess } from './run.ts';

export interface Provider {
  /** The part before the first slash of a model's name. */
  readonly id: string;
  /** The pool whose workers run it, unless a model says otherwise. */
  readonly pool: 'local' | 'remote';
  /** Used for workspaces that have no credential of their own. */
  readonly defaultCredential: ProviderCredential;
  /** Maximum concurrent calls of a process, over all providers that are called with the same credential. */
  readonly concurrency: number;
  /** The same limit for one model, if it has its own. */
  getModelConcurrency?(model: string): number | undefined;
  readonly handlers: { readonly [K in KindId]?: Handler<K> };
  /**
   * Whether calls to this model are billed. Results of billed calls are stored as they finish, which costs an object
   * and a row at each checkpoint. @default false
   */
  isBilled?(model: string): boolean;
  /** @throws InvalidInput if the provider cannot serve this model; the message says what to use instead. */
  checkModel(model: string, kind?: KindId): void;
  /**
   * Checks a request's options before it is queued. @param body as the kind's schema has parsed it.
   * @throws InvalidInput, code `unsupported`, if the provider does not have one of them; the message says what can be used.
   */
  checkOptions?(kind: KindId, body: object): void;
  /** What it does with each option, for documentation. Absent: it takes all of them. */
  readonly optionTable?: OptionTable;
  /** Whether a model accepts images where its kind allows them but does not require them. @default true, if unknown */
  acceptsImages?(access: ModelAccess): boolean | Promise<boolean>;
  /** Models that the provider can list, with the default credential. Empty if it cannot list them now. */
  listModels?(): string[] | Promise<string[]>;
  /** Only for providers that hold models in their own memory. */
  readonly models?: ModelHost;
  /** Limits of one call (a micro-batch), if the provider has better ones than the kind. */
  getPackLimits?(kind: KindId, model: string): Partial<PackLimits>;
  /**
   * Cancels an upstream run of a task that ended while no worker ran it.
   * @param runId as it was given to `saveRunId`. @throws ProviderFailure
   */
  cancelRun?(access: ModelAccess, runId: string): Promise<void>;
  /** Overrides of the call policy for this provider. */
  readonly policy?: PolicyOverrides;
}
