/** Where local models come from and what they may use, as the settings decide it: what an app gives to libs/providers. */
import { join, resolve } from 'node:path';
import type { Config } from './config.ts';

/** Plain options for `createProviders`, the same in every process. */
export function modelOptions(config: Config) {
  return {
    local: {
      folder: config.MODELS_DIR ? resolve(config.MODELS_DIR) : join(config.MILLRACE_HOME, 'models'),
      isFolderNamed: config.MODELS_DIR !== undefined,
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
