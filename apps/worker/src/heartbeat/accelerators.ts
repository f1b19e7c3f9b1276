/** Describes the worker's machine for the heartbeat: CPU cores, and GPUs when `nvidia-smi` is installed. */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import type { Accelerator, WorkerHardware } from '@millrace/contracts';

const run = promisify(execFile);

/** A query takes about 50 ms of CPU time and wakes the driver. */
const intervalMs = 30_000;
const timeoutMs = 10_000;

const query = [
  '--query-gpu=name,memory.total,memory.used,utilization.gpu',
  '--format=csv,noheader,nounits',
] as const;

export interface AcceleratorWatch {
  getState(): WorkerHardware;
  stop(): void;
}

/** Queries now and then every 30 s. Stops querying when `nvidia-smi` is not installed. */
export function watchAccelerators(): AcceleratorWatch {
  let accelerators: Accelerator[] = [];
  const stopping = new AbortController();
  const update = async () => {
    try {
      const options = { timeout: timeoutMs, signal: stopping.signal };
      const { stdout } = await run('nvidia-smi', query, options);
      accelerators = parseAccelerators(stdout);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') clearInterval(timer);
      else accelerators = [];
    }
  };
  const timer = setInterval(() => void update(), intervalMs);
  timer.unref();
  void update();
  return {
    getState: () => ({ cpus: availableParallelism(), accelerators }),
    stop() {
      clearInterval(timer);
      stopping.abort();
    },
  };
}

const mebibyte = 2 ** 20;

/** @param csv one line per GPU: name, total MiB, used MiB, percent. An unknown value is `[N/A]`. */
export function parseAccelerators(csv: string): Accelerator[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter((fields) => fields.length === 4)
    .map(([name, total, used, utilization]) => ({
      name: name!,
      memory_total_bytes: parseNumber(total) * mebibyte,
      memory_used_bytes: parseNumber(used) * mebibyte,
      utilization: Number.isFinite(Number(utilization)) ? Number(utilization) : null,
    }));
}

const parseNumber = (text: string | undefined): number => Number.parseFloat(text ?? '') || 0;
