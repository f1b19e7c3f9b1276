/** Health: whether the process runs, and whether everything that it needs works. */
import { z } from 'zod';

export const liveness = z.object({ status: z.literal('ok') });
export type Liveness = z.output<typeof liveness>;

/** `none`: it does not exist, e.g. no worker runs. */
export const healthCheck = z.object({
  status: z.enum(['ok', 'failing', 'none']),
  message: z.string().optional(),
});
export type HealthCheck = z.output<typeof healthCheck>;

export const readiness = z.object({
  status: z.enum(['ok', 'failing']),
  checks: z.object({
    postgres: healthCheck,
    queue: healthCheck,
    objects: healthCheck,
    workers: healthCheck,
  }),
});
export type Readiness = z.output<typeof readiness>;
