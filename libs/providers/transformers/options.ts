/** What the local provider is given: where models are, what they run on, how much memory they may take. */

export interface LocalOptions {
  /** Holds models as `name/` or `org/name/`; what comes from the Hub is kept under `.hub/`. Need not be there. */
  readonly folder: string;
  /** A setting named the folder: where it is not there, other machines may have it. */
  readonly isFolderNamed: boolean;
  readonly hub: { readonly url: string; readonly token?: string };
  /** Worker threads, each with its own session of each model: one for each device. */
  readonly slots: number;
  readonly device: 'cpu' | 'cuda';
  /** `auto`: what the model's own config names, else fp32. */
  readonly dtype: string;
  /** Threads of one slot's arithmetic; 0: the cores shared among the slots. */
  readonly cpuThreads: number;
  /** Bytes that the weights of all slots together may take. */
  readonly memoryBytes: number;
  /** false: nothing is unloaded to make room, so that what is loaded depends on the order of calls alone. */
  readonly evict: boolean;
}
