/** The supervisor's children: each in a process group of its own, started again when it dies, stopped when told. */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { getRestartDelay } from './restart-delay.ts';
import { forEachLine } from './log-lines.ts';
import { deleteProcessRecord, saveProcessRecord } from './process-records.ts';

export interface ChildProgram {
  /** Unique; stands before its lines and names its record. */
  readonly name: string;
  readonly script: string;
  readonly args?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface ChildContext {
  readonly home: string;
  /** Takes each line that a child prints. */
  readonly onLine: (name: string, line: string) => void;
  readonly log: (line: string) => void;
}

export interface SupervisedChild {
  readonly name: string;
  /** Deaths so far that were not asked for. */
  readonly crashes: number;
  /** Resolves once its first process is started and written down, so that a later start would find it. */
  readonly launched: Promise<void>;
  /** SIGTERM, then SIGKILL to its group after `graceMs`. Resolves once it is gone. */
  stop(graceMs: number): Promise<void>;
  /** From its next start on; `now` makes that at once. */
  setEnv(env: NodeJS.ProcessEnv, now: boolean): void;
  kill(): void;
}

/**
 * For every process of ours. On a machine with memory to spare V8 lets garbage lie until the heap is a multiple of what
 * lives in it: with two fifths more than lives a million lines cost about a tenth more time, in a worker of 370 MB
 * instead of 520 and an API of 280 instead of 320.
 */
export const nodeArgs = ['--enable-source-maps', '--heap-growing-percent=40'];

function startChild(program: ChildProgram, around: ChildContext): ChildProcess {
  const child = spawn(process.execPath, [...nodeArgs, program.script, ...(program.args ?? [])], {
    // A group of its own, so that Ctrl-C reaches only us, and we stop everything in order. Its end of the IPC
    // channel says `disconnect` when we are gone, however we went.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: program.env,
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) forEachLine(stream, (line) => around.onLine(program.name, line));
  }
  return child;
}

async function waitForExit(
  child: ChildProcess,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((done) => {
    child.once('error', () => done({ code: 127, signal: null }));
    // `close` comes after its last line; a grandchild that holds the pipe must not delay us for long.
    child.once('exit', (code, signal) => {
      const finish = (): void => done({ code, signal });
      child.once('close', finish);
      setTimeout(finish, 200).unref();
    });
  });
}

/** Runs a program to its end. @returns its exit code; 128 when a signal ended it. */
export async function runToCompletion(
  program: ChildProgram,
  around: ChildContext,
  signal: AbortSignal,
): Promise<number> {
  const child = startChild(program, around);
  const end = waitForExit(child);
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  if (child.pid) await saveProcessRecord(around.home, program.name, child.pid, child.spawnargs);
  const { code } = await end;
  signal.removeEventListener('abort', stop);
  await deleteProcessRecord(around.home, program.name);
  return code ?? 128;
}

/** Starts a program and keeps it running until it is stopped. */
export function superviseChild(initial: ChildProgram, around: ChildContext): SupervisedChild {
  let program = initial;
  let child: ChildProcess | null = null;
  let deaths = 0;
  const stopping = new AbortController();
  const launched = Promise.withResolvers<void>();

  const live = async (): Promise<void> => {
    let delay: number | null = null;
    while (!stopping.signal.aborted) {
      const began = performance.now();
      const current = (child = startChild(program, around));
      const end = waitForExit(current);
      if (current.pid) await saveProcessRecord(around.home, program.name, current.pid, current.spawnargs);
      launched.resolve();
      const { code, signal } = await end;
      child = null;
      await deleteProcessRecord(around.home, program.name);
      if (stopping.signal.aborted) return;
      deaths++;
      delay = getRestartDelay(delay, performance.now() - began);
      around.log(
        `${program.name} ended (${signal ?? `exit code ${code}`}); starting it again in ${delay / 1_000} s`,
      );
      await sleep(delay, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const life = live();

  const killGroup = (): void => {
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL'); // no such group yet: it is still being set up
    }
  };

  return {
    name: initial.name,
    launched: launched.promise,
    get crashes() {
      return deaths;
    },
    async stop(graceMs) {
      stopping.abort();
      child?.kill('SIGTERM');
      const timer = setTimeout(() => {
        around.log(`${initial.name} did not stop within ${graceMs / 1_000} s: killing it`);
        killGroup();
      }, graceMs);
      await life;
      clearTimeout(timer);
    },
    setEnv(env, now) {
      program = { ...program, env };
      if (now) child?.kill('SIGTERM');
    },
    kill() {
      stopping.abort();
      killGroup();
    },
  };
}
