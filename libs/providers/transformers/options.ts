/** Options of the local provider: where its models are, what they run on, and how much memory they may use. */

export interface LocalOptions {
  /** Contains models as `name/` or `org/name/`. Models from the Hub are stored below `.hub/`. It need not exist. */
  readonly folder: string;
  /** Whether a setting names the folder. If so and it does not exist here, it may exist on other machines. */
  readonly isFolderConfigured: boolean;
  readonly hub: { readonly url: string; readonly token?: string };
  /** Worker threads, one for each device. Each has its own session of each model. */
  readonly slots: number;
  readonly device: 'cpu' | 'cuda';
  /** `auto`: the dtype that the model's config names, or else fp32. */
  readonly dtype: string;
  /** Threads that one slot computes with. 0: the cores divided by the number of slots. */
  readonly cpuThreads: number;
  /** Limit for the weights of all slots together. */
  readonly memoryBytes: number;
  /** false: no model is unloaded to make room, so the models in memory depend only on the order of calls. */
  readonly evict: boolean;
}
