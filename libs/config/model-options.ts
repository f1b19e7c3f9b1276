/** Options of local models for libs/providers, from the settings. */
import { join, resolve } from 'node:path';
import type { Config } from './config.ts';

/** @returns options for `createProviders`. */
export function buildModelOptions(config: Config) {
  return {
    local: {
      folder: config.MODELS_DIR ? resolve(config.MODELS_DIR) : join(config.MILLRACE_HOME, 'models'),
      isFolderConfigured: config.MODELS_DIR !== undefined,
      hub: { url: config.HF_ENDPOINT.replace(/\/+$/, ''), token: config.HF_TOKEN },
      slots: config.LOCAL_SLOTS,
      device: config.LOCAL_DEVICE,
      dtype: config.LOCAL_DTYPE,
      cpuThreads: config.LOCAL_CPU_THREADS,
      memoryBytes: config.MODELS_MEMORY_MB * 2 ** 20,
      evict: config.MODELS_EVICT,
    },
  } as const;
}
