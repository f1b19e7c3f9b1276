/** The platform as `npm start` runs it: one supervisor with its own database, API and workers. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { findPostmaster, stopPostmaster } from '../../deploy/embedded/postmaster.ts';
import { isRunning, sendSignal, type ProcessRef } from '../../deploy/embedded/process-ref.ts';
import { listProcessRecords, type ProcessRecord } from '../../deploy/embedded/process-records.ts';
import { findFreePort, waitUntil } from '../support/platform.ts';
import { s3Settings } from '../support/s3.ts';
import { openBucketObjects, openDiskObjects, type StoredObjects } from '../support/stored-objects.ts';
import type { PlatformAccess, Servers } from './deployment.ts';

const program = fileURLToPath(new URL('../../deploy/embedded/start.js', import.meta.url));

export const supervisedWorkerCount = 2;

export class SupervisedPlatform implements PlatformAccess {
  apiKey = '';
  databaseUrl = '';
  client: OpenAI;
  /** Passwords of the database: the checker searches for them. */
  secrets: string[] = [];
  private supervisor: ChildProcess | null = null;
  private text = '';

  private constructor(
    private readonly folder: string,
    readonly home: string,
    private readonly env: Record<string, string>,
    readonly url: string,
    readonly objects: StoredObjects,
  ) {}

  static async open({ redisUrl, bucket }: Servers): Promise<SupervisedPlatform> {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-home-'));
    await chmod(folder, 0o711); // when started by root, the database's account must enter it
    const home = join(folder, 'home');
    const port = await findFreePort();
    const env = {
      PATH: process.env['PATH'] ?? '',
      MILLRACE_HOME: home,
      PORT: String(port),
      WORKER_COUNT: String(supervisedWorkerCount),
      LOG_FORMAT: 'json',
      ...(redisUrl && { REDIS_URL: redisUrl }),
      ...(bucket && s3Settings(bucket)),
    };
    const objects = bucket ? openBucketObjects(bucket) : openDiskObjects(home);
    const platform = new SupervisedPlatform(folder, home, env, `http://127.0.0.1:${port}`, objects);
    try {
      await platform.start();
      await platform.readFiles();
      return platform;
    } catch (error) {
      await platform.stop();
      throw error;
    }
  }

  /** Starts the supervisor. @returns ms until it printed that it runs. */
  async start(): Promise<number> {
    const began = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', program], {
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.supervisor = child;
    const from = this.text.length;
    const keep = (chunk: Buffer) => void (this.text += chunk.toString());
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    await waitUntil(() => this.text.slice(from).includes('running on http') || child.exitCode !== null, {
      what: 'the supervisor to print that it runs',
      withinMs: 120_000,
    });
    if (child.exitCode !== null)
      throw new Error(`the supervisor ended with ${child.exitCode}:\n${this.text.slice(from)}`);
    return performance.now() - began;
  }

  /** The processes that the supervisor started, including the database. */
  async children(): Promise<ProcessRecord[]> {
    return listProcessRecords(this.home);
  }

  /** Sends SIGKILL to the supervisor; with `all` also to everything that it started, at the same time. */
  async kill(all: boolean): Promise<void> {
    const victims: ProcessRef[] = all ? await this.children() : [];
    const exited = once(this.supervisor!, 'exit');
    this.supervisor!.kill('SIGKILL');
    await Promise.all(victims.map((victim) => sendSignal(victim, 'SIGKILL')));
    await exited;
  }

  /** Sends SIGTERM, and SIGKILL after `withinMs`. @returns the exit code and the time until the exit in ms. */
  async end(withinMs: number): Promise<{ code: number | null; ms: number }> {
    const began = performance.now();
    const child = this.supervisor!;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
    const [code] = (await exited) as [number | null];
    clearTimeout(timer);
    return { code, ms: performance.now() - began };
  }

  /** @returns processes that have this data folder in their environment or arguments. Linux only; elsewhere none. */
  async processes(): Promise<string[]> {
    const found: string[] = [];
    for (const pid of await readdir('/proc').catch(() => [])) {
      if (!/^\d+$/.test(pid)) continue;
      const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
      const [environment, args] = await Promise.all([read('environ'), read('cmdline')]);
      const named =
        environment.includes(`MILLRACE_HOME=${this.home}\0`) || args.includes(`-D\0${join(this.home, '')}`);
      if (named && args !== '') found.push(`${pid} ${args.replaceAll('\0', ' ').trim()}`);
    }
    return found;
  }

  output(): string {
    return `── supervisor\n${this.text}`;
  }

  async stop(): Promise<void> {
    const child = this.supervisor;
    if (child && child.exitCode === null && child.signalCode === null) await this.end(40_000);
    for (const left of await this.children())
      if (await isRunning(left)) await sendSignal(left, 'SIGKILL', true);
    const note = await this.note().catch(() => null);
    const server = note && (await findPostmaster(note.data));
    if (server) await stopPostmaster(server, 'immediate');
    await rm(this.folder, { recursive: true, force: true });
  }

  private async note(): Promise<{ data: string; port: number; password: string; adminPassword: string }> {
    return JSON.parse(await readFile(join(this.home, 'postgres.json'), 'utf8')) as never;
  }

  private async readFiles(): Promise<void> {
    const { apiKey } = JSON.parse(await readFile(join(this.home, 'credentials.json'), 'utf8')) as {
      apiKey: string;
    };
    const { port, password, adminPassword } = await this.note();
    this.apiKey = apiKey;
    this.databaseUrl = `postgres://millrace:${password}@127.0.0.1:${port}/millrace`;
    this.secrets = [password, adminPassword];
    this.client = new OpenAI({ apiKey, baseURL: `${this.url}/v1`, maxRetries: 2 });
  }
}
