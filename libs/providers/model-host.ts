/** Models that a provider holds in memory: local models, and those of an Ollama server. */

export interface HostedModel {
  /** The model as the provider knows it. */
  readonly model: string;
  readonly state: 'loading' | 'ready' | 'failed';
  /** Size of its weights. Memory that a session needs on top of them is not counted. */
  readonly bytes: number;
  readonly device: string;
  readonly dtype: string;
  readonly usedAt: Date;
  readonly error?: { code: string; message: string };
}

/** All workspaces share the models in memory, so they are managed with the instance's default credential. */
export interface ModelHost {
  list(): HostedModel[];
  /** Loads the model and runs it once, in every slot. @throws ProviderFailure, InvalidInput */
  load(model: string): Promise<void>;
  unload(model: string): Promise<void>;
  close(): Promise<void>;
}
