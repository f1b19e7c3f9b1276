/** Workers and the models they hold, as they say themselves and as the wire shows them. */
import { z } from 'zod';

/** A piece of work that a worker has in hand. */
export interface RunningWork {
  type: 'chunk' | 'task';
  /** The task's id, or the batch's. */
  id: string;
  /** Index of the batch's chunk. */
  chunk?: number;
  workspace: string;
  model: string;
  /** Unix seconds. */
  since: number;
}

export interface HeldModelState {
  /** As callers name it: `provider/model-id`. */
  model: string;
  state: 'loading' | 'ready' | 'failed';
  bytes: number;
  device: string;
  dtype: string;
  /** Unix seconds. */
  used_at: number;
  error?: { code: string; message: string };
}

/** An accelerator that the worker's machine has, by `nvidia-smi`. */
export interface Accelerator {
  name: string;
  memory_total_bytes: number;
  memory_used_bytes: number;
  /** Percent of the last second in which it computed. */
  utilization: number | null;
}

export interface DeviceState {
  cpus: number;
  accelerators: Accelerator[];
}

export interface WorkerObject {
  id: string;
  object: 'worker';
  pools: string[];
  slots: number;
  /** `silent`: it has not been heard of for ten seconds. `deaf`: it lives and takes no work. */
  status: 'ready' | 'deaf' | 'silent';
  version: string;
  started_at: number;
  seen_at: number;
  memory_bytes: number;
  device: DeviceState | null;
  models: HeldModelState[];
  /** How much it has in hand, and what of it the caller may see. */
  running_count: number;
  running: Omit<RunningWork, 'workspace'>[];
  /** For the deployment's own workspace only. */
  host: string | null;
  pid: number | null;
}

/** A model in OpenAI's shape, with what is known of it here. */
export interface ModelObject {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
  millrace: {
    /** `available`: it runs when asked for. `unloaded`: no worker holds it. */
    status: 'available' | 'loading' | 'ready' | 'failed' | 'unloaded';
    /** Workers load it when they start, and it was asked for by name. */
    is_wanted: boolean;
    /** Workers that hold it. */
    workers: (Omit<HeldModelState, 'model'> & { worker: string })[];
  };
}

export const modelBody = z.strictObject({
  model: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^\0\ud800-\udfff]+$/u),
});
