/** Worker processes, and the models that they run themselves. */
import { boolean, filePath, integer, nameList, oneOf, poolList, url } from './types.ts';

export const workerSettings = {
  WORKER_COUNT: integer(0, 256).default(1).describe('Worker processes that `npm start` runs.'),
  WORKER_POOLS: poolList().describe('Pools that a worker serves, separated by commas.'),
  WORKER_SLOTS: integer(1, 256).default(2).describe('Chunks that a worker runs at once for each provider.'),
  WORKER_DIRECT_SLOTS: integer(1, 1_024)
    .default(32)
    .describe('Direct requests that a worker runs at once for each provider.'),
  WORKER_HTTP_PORT: integer(1, 65_535)
    .optional()
    .describe(
      'Port for /health and /metrics of a worker, if it is the only one on its machine or in its container. Unset: no port.',
    ),
  CHUNK_WINDOW: integer(1, 1_000)
    .default(8)
    .describe('Chunks of one batch that are queued or running at once.'),
};

export const modelSettings = {
  MODELS_DIR: filePath()
    .optional()
    .describe('Folder of local models, as name/ or org/name/. Unset: models/ in the data folder.'),
  MODELS_PRELOAD: nameList().describe(
    'Local models that a worker loads when it starts, separated by commas.',
  ),
  MODELS_MEMORY_MB: integer(1, 2 ** 22)
    .default(4_096)
    .describe(
      'Memory for the weights of local models in one worker, in MB. The least recently used model is evicted.',
    ),
  MODELS_EVICT: boolean()
    .default(true)
    .describe('Set false to refuse a model that does not fit in memory instead of evicting another.'),
  LOCAL_SLOTS: integer(1, 64)
    .default(1)
    .describe('Threads of a worker that run local models. Each loads its own copy. Use one for each device.'),
  LOCAL_DEVICE: oneOf(['cpu', 'cuda']).default('cpu').describe('Device that runs local models.'),
  LOCAL_DTYPE: oneOf(['auto', 'fp32', 'fp16', 'int8', 'uint8', 'q8', 'q4', 'q4f16', 'bnb4'])
    .default('auto')
    .describe('Data type of the weights to load. auto: the type in the model’s config, otherwise fp32.'),
  LOCAL_CPU_THREADS: integer(0, 1_024)
    .default(0)
    .describe('CPU threads of one slot. 0: the cores of the machine divided by LOCAL_SLOTS.'),
  HF_ENDPOINT: url('http', 'https')
    .default('https://huggingface.co')
    .describe('Hugging Face Hub, from which models named local/org/name are downloaded.'),
};
