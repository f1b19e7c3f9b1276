/** A child process of the supervisor: it has its own process group and is restarted when it exits by itself. */
import { spawn, type ChildProcess } from 'node:child_process';
import { onAbort, sleepOrAbort } from '#async';
import { configExitCode, type StartFailure } from '#config';
import { getRestartDelay } from './restart-delay.ts';
import { forEachLine } from './log-lines.ts';
import { deleteProcessRecord, saveProcessRecord } from './process-records.ts';
import { StartupError } from './startup-error.ts';

export interface ChildProgram {
  /** Unique. It prefixes the program's output and names its process record. */
  readonly name: string;
  readonly script: string;
  readonly args?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface ChildContext {
  readonly home: string;
  /** Called with each line that a child prints. */
  readonly onLine: (name: string, line: string) => void;
  readonly log: (line: string) => void;
}

export interface SupervisedChild {
  readonly name: string;
  /** Resolves when a process of it has sent that it is ready. @throws StartupError when it cannot start. */
  readonly ready: Promise<void>;
  /** Sends SIGTERM, and SIGKILL to its group after `graceMs`. Resolves when it has exited. */
  stop(graceMs: number): Promise<void>;
  /** Sets the environment of its next start. `now` restarts it at once. */
  setEnv(env: NodeJS.ProcessEnv, now: boolean): void;
  kill(): void;
}

/**
 * Node's arguments for every process of Millrace. By default V8 lets the heap grow to a multiple of its live objects
 * while the machine has memory. With a growth of 40 % a batch of a million lines takes about 10 % longer, and the worker
 * needs 370 MB instead of 520, the API 280 MB instead of 320.
 */
export const nodeArgs = ['--enable-source-maps', '--heap-growing-percent=40'];

function startChild(program: ChildProgram, context: ChildContext): ChildProcess {
  const child = spawn(process.execPath, [...nodeArgs, program.script, ...(program.args ?? [])], {
    // Its own process group: Ctrl-C then reaches only the supervisor, which stops all children in order. The child
    // gets `disconnect` on the IPC channel when the supervisor ends, also after a `kill -9`.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: program.env,
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) forEachLine(stream, (line) => context.onLine(program.name, line));
  }
  return child;
}

async function waitForExit(
  child: ChildProcess,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((done) => {
    child.once('error', () => done({ code: 127, signal: null }));
    // `close` comes after the last line of output. A grandchild may keep the pipe open, so this waits 200 ms at most.
    child.once('exit', (code, signal) => {
      const finish = (): void => done({ code, signal });
      child.once('close', finish);
      setTimeout(finish, 200).unref();
    });
  });
}

/** What a child sends over its IPC channel. */
interface ChildMessages {
  isReady: boolean;
  /** Why it cannot start, for the user. */
  startFailure: string | null;
}

function collectMessages(child: ChildProcess, onReady?: () => void): ChildMessages {
  const messages: ChildMessages = { isReady: false, startFailure: null };
  child.on('message', (message: Partial<StartFailure> | 'ready') => {
    if (message === 'ready') {
      messages.isReady = true;
      onReady?.();
    } else if (typeof message.startFailure === 'string') {
      messages.startFailure = message.startFailure;
    }
  });
  return messages;
}

/** Runs a program until it exits. @returns its exit code (128 after a signal), and why it could not start. */
export async function runToCompletion(
  program: ChildProgram,
  context: ChildContext,
  signal: AbortSignal,
): Promise<{ code: number; startFailure: string | null }> {
  const child = startChild(program, context);
  const messages = collectMessages(child);
  const exited = waitForExit(child);
  const removeListener = onAbort(signal, () => child.kill('SIGTERM'));
  if (child.pid) await saveProcessRecord(context.home, program.name, child.pid, child.spawnargs);
  const { code } = await exited;
  removeListener();
  await deleteProcessRecord(context.home, program.name);
  return { code: code ?? 128, startFailure: messages.startFailure };
}

/** A program that exits this often before it is ready cannot start. */
const maxFailedStarts = 3;

/**
 * Starts a program and restarts it until it is stopped. Wrong settings, and three exits in a row, before it was ready for
 * the first time make `ready` reject.
 */
export function superviseChild(initial: ChildProgram, context: ChildContext): SupervisedChild {
  let program = initial;
  let child: ChildProcess | null = null;
  let failedStarts = 0;
  const stopping = new AbortController();
  const ready = Promise.withResolvers<void>();

  let wasReady = false;
  void ready.promise.then(() => (wasReady = true)).catch(() => {});

  /** @returns whether it is not restarted. After it was ready once, it is always restarted: a service may be down. */
  const isFinalFailure = (code: number | null, { isReady, startFailure }: ChildMessages): boolean => {
    if (isReady || wasReady) return false;
    failedStarts++;
    if (code !== configExitCode && failedStarts < maxFailedStarts) return false;
    const message = startFailure ?? `${program.name} exits before it is ready: see its output above.`;
    ready.reject(new StartupError(message, { exitCode: code === configExitCode ? configExitCode : 1 }));
    return true;
  };

  const run = async (): Promise<void> => {
    let delay: number | null = null;
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      const current = (child = startChild(program, context));
      const messages = collectMessages(current, ready.resolve);
      const exited = waitForExit(current);
      if (current.pid) await saveProcessRecord(context.home, program.name, current.pid, current.spawnargs);
      const { code, signal } = await exited;
      child = null;
      await deleteProcessRecord(context.home, program.name);
      if (stopping.signal.aborted) return;
      if (isFinalFailure(code, messages)) return;
      delay = getRestartDelay(delay, performance.now() - startedAt);
      const reason = messages.startFailure ?? signal ?? `exit code ${code}`;
      context.log(`${program.name} exited (${reason}); restarting it in ${delay / 1_000} s`);
      await sleepOrAbort(delay, stopping.signal);
    }
  };
  const running = run();

  const killGroup = (): void => {
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL'); // The group does not exist yet: the process is just starting.
    }
  };

  return {
    name: initial.name,
    ready: ready.promise,
    async stop(graceMs) {
      stopping.abort();
      child?.kill('SIGTERM');
      const timer = setTimeout(() => {
        context.log(`${initial.name} did not stop within ${graceMs / 1_000} s: killing it`);
        killGroup();
      }, graceMs);
      await running;
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
