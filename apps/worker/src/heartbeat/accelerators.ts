/** What the worker's machine computes on: its cores, and what `nvidia-smi` knows where it is installed. */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import type { Accelerator, DeviceState } from '@millrace/contracts';

const run = promisify(execFile);

/** Asking takes some 50 ms of a core and wakes the driver. */
const askEveryMs = 30_000;
const answerMs = 10_000;

const query = [
  '--query-gpu=name,memory.total,memory.used,utilization.gpu',
  '--format=csv,noheader,nounits',
] as const;

export interface AcceleratorWatch {
  getState(): DeviceState;
  stop(): void;
}

/** Asks now and then again and again; where there is no `nvidia-smi`, never again. */
export function watchAccelerators(): AcceleratorWatch {
  let accelerators: Accelerator[] = [];
  const gone = new AbortController();
  const ask = async () => {
    try {
      const { stdout } = await run('nvidia-smi', query, { timeout: answerMs, signal: gone.signal });
      accelerators = parseAccelerators(stdout);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') clearInterval(timer);
      else accelerators = [];
    }
  };
  const timer = setInterval(() => void ask(), askEveryMs);
  timer.unref();
  void ask();
  return {
    getState: () => ({ cpus: availableParallelism(), accelerators }),
    stop() {
      clearInterval(timer);
      gone.abort();
    },
  };
}

const mebibyte = 2 ** 20;

/** @param csv `name, MiB in all, MiB in use, percent`, a line each; what a card doesn't know is `[N/A]`. */
export function parseAccelerators(csv: string): Accelerator[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter((fields) => fields.length === 4)
    .map(([name, total, used, utilization]) => ({
      name: name!,
      memory_total_bytes: number(total) * mebibyte,
      memory_used_bytes: number(used) * mebibyte,
      utilization: Number.isFinite(Number(utilization)) ? Number(utilization) : null,
    }));
}

const number = (text: string | undefined): number => Number.parseFloat(text ?? '') || 0;
