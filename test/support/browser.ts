/**
 * A headless Chromium, if the machine has one, controlled by the DevTools protocol: commands with an id on one WebSocket,
 * and answers with the same id.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { WebSocket } from 'undici';

export interface Page {
  /** @returns the value of the expression or of its promise, as JSON. */
  evaluate<T>(expression: string): Promise<T>;
}

export interface Browser {
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const startMs = 60_000;
const answerMs = 60_000;

/** @returns null, after a visible warning, where there is no browser or it does not start. */
export async function startBrowser(): Promise<Browser | null> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const program = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  if (!program) return reportNotRun(`none of ${names.join(', ')} is on PATH`);
  const profile = await mkdtemp(join(tmpdir(), 'millrace-browser-'));
  const flags = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
  ];
  const where = ['--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
  const child = spawn(program, [...flags, ...where], { stdio: ['ignore', 'ignore', 'pipe'] });
  const dispose = async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    // Its child processes may still write there for a moment.
    await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  try {
    const tools = await connect(await readDevToolsUrl(child));
    return {
      open: (url) => openPage(tools, url),
      async close() {
        tools.close();
        await dispose();
      },
    };
  } catch (error) {
    await dispose();
    return reportNotRun(`${program} does not start: ${(error as Error).message}`);
  }
}

interface DevTools {
  send(method: string, params: object, sessionId?: string): Promise<Record<string, unknown>>;
  close(): void;
}

/** The browser prints the address of its DevTools on stderr. */
function readDevToolsUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(
      () => reject(new Error(`it does not print its DevTools address: ${text}`)),
      startMs,
    );
    child.stderr!.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4_000);
      const [, address] = /DevTools listening on (ws:\S+)/.exec(text) ?? [];
      if (!address) return;
      clearTimeout(timer);
      resolve(address);
    });
    const failed = (reason: string) => {
      clearTimeout(timer);
      reject(new Error(reason));
    };
    child.once('error', (error) => failed(error.message));
    child.once('exit', (code, signal) => failed(`it ended with ${code ?? signal}: ${text}`));
  });
}

async function connect(address: string): Promise<DevTools> {
  const socket = new WebSocket(address);
  const waiting = new Map<number, (answer: Answer) => void>();
  let last = 0;
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    if (answer.id === undefined) return;
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('its DevTools refuse the connection')));
  });
  return {
    send(method, params, sessionId) {
      const id = ++last;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`the browser does not answer ${method}`)), answerMs);
        waiting.set(id, ({ result, error }) => {
          clearTimeout(timer);
          if (error) reject(new Error(`${method}: ${error.message}`));
          else resolve(result ?? {});
        });
        socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }));
      });
    },
    close: () => socket.close(),
  };
}

interface Answer {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

async function openPage(tools: DevTools, url: string): Promise<Page> {
  const { targetId } = await tools.send('Target.createTarget', { url });
  const { sessionId } = await tools.send('Target.attachToTarget', { targetId, flatten: true });
  return {
    async evaluate<T>(expression: string) {
      const options = { expression, awaitPromise: true, returnByValue: true };
      const answer = await tools.send('Runtime.evaluate', options, sessionId as string);
      const { result, exceptionDetails } = answer as {
        result: { value: unknown };
        exceptionDetails?: { text: string; exception?: { description?: string } };
      };
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value as T;
    },
  };
}

function reportNotRun(reason: string): null {
  console.warn(`\n${'*'.repeat(78)}\n** NOT RUN IN A BROWSER: ${reason}\n${'*'.repeat(78)}\n`);
  return null;
}
