/** Workers, the work that they run, and the models that they have loaded. */
import { z } from 'zod';
import { timestamp } from './fields.ts';
import { idSchema } from './ids.ts';
import { pageSchema } from './pages.ts';

/** A chunk or task that a worker runs. */
export const runningWork = z.object({
  type: z.enum(['chunk', 'task']),
  /** Id of the task, or of the chunk's batch. */
  id: z.string(),
  /** Index of the chunk in its batch. */
  chunk: z.int().nonnegative().optional(),
  workspace: idSchema('workspace'),
  model: z.string(),
  started_at: timestamp,
});
export type RunningWork = z.output<typeof runningWork>;

export const hostedModelState = z.object({
  /** As callers name it: `provider/model-id`. */
  model: z.string(),
  state: z.enum(['loading', 'ready', 'failed']),
  bytes: z.number().nonnegative(),
  device: z.string(),
  dtype: z.string(),
  used_at: timestamp,
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
export type HostedModelState = z.output<typeof hostedModelState>;

/** An accelerator of the worker's machine, as `nvidia-smi` reports it. */
export const accelerator = z.object({
  name: z.string(),
  memory_total_bytes: z.number().nonnegative(),
  memory_used_bytes: z.number().nonnegative(),
  /** Percent of the last second in which it was busy. */
  utilization: z.number().nullable(),
});
export type Accelerator = z.output<typeof accelerator>;

export const workerHardware = z.object({
  cpus: z.int().positive(),
  accelerators: z.array(accelerator),
});
export type WorkerHardware = z.output<typeof workerHardware>;

export const workerObject = z.object({
  id: idSchema('worker'),
  object: z.literal('worker'),
  pools: z.array(z.string()),
  slots: z.int().nonnegative(),
  /** `unresponsive`: no heartbeat for ten seconds. `not_consuming`: it sends heartbeats and takes no work. */
  status: z.enum(['ready', 'not_consuming', 'unresponsive']),
  version: z.string(),
  started_at: timestamp,
  seen_at: timestamp,
  memory_bytes: z.number().nonnegative(),
  hardware: workerHardware.nullable(),
  models: z.array(hostedModelState),
  /** Number of chunks and tasks that it runs. `running` has those that the caller may see. */
  running_count: z.int().nonnegative(),
  running: z.array(runningWork.omit({ workspace: true })),
  /** Null unless the caller operates the instance. */
  host: z.string().nullable(),
  pid: z.int().nullable(),
});
export type WorkerObject = z.output<typeof workerObject>;

export const workerPage = pageSchema(workerObject);
