/** A video task during a fault: which worker runs it, what its caller reads, and which calls the upstream received. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil, type Platform } from '../support/platform.ts';
import type { ScriptedUpstream } from '../support/upstream/server.ts';
import type { DatabaseReader } from './database-reader.ts';

/** A model that makes videos, and the upstream calls of its provider. */
export interface VideoProvider {
  readonly name: string;
  readonly model: string;
  /** Path of the call that starts a run. */
  readonly startPath: string;
  /** Part of the path of every status request. */
  readonly pollPath: string;
  /** HTTP method of the call that cancels a run. */
  readonly cancelMethod: string;
}

export const videoProviders: readonly VideoProvider[] = [
  {
    name: '/v1/videos',
    model: 'scripted/video',
    startPath: '/v1/videos',
    pollPath: '/v1/videos/',
    cancelMethod: 'DELETE',
  },
  {
    name: 'fal’s queue',
    model: 'hf/fal/text-to-video',
    startPath: '/fal-ai/fal-ai/text-to-video',
    pollPath: '/status',
    cancelMethod: 'PUT',
  },
];

/** What a caller read, from the task and from the video endpoint. */
export interface ShownState {
  readonly status: string;
  readonly percent: number | null;
  readonly videoPercent: number;
}

interface TaskResponse {
  readonly status: string;
  readonly progress: { readonly percent: number | null } | null;
}

export class VideoTask {
  readonly shown: ShownState[] = [];

  private constructor(
    readonly id: string,
    readonly provider: VideoProvider,
    private readonly deps: { platform: Platform; database: DatabaseReader; upstream: ScriptedUpstream },
  ) {}

  static async create(
    provider: VideoProvider,
    deps: { platform: Platform; database: DatabaseReader; upstream: ScriptedUpstream },
  ): Promise<VideoTask> {
    deps.upstream.calls.length = 0;
    const { id } = await deps.platform.client.videos.create({
      model: provider.model,
      prompt: 'A mill turns.',
    });
    return new VideoTask(id, provider, deps);
  }

  /** Waits until the upstream has received `polls` status requests; it then renders. */
  async waitUntilPolled(polls: number): Promise<void> {
    const { upstream } = this.deps;
    await this.pollUntil(
      () => upstream.findCalls(this.provider.pollPath, 'GET').length >= polls,
      'the video to render',
    );
  }

  /** Reads the task as its caller does until the condition holds, and keeps what was read. */
  async pollUntil(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const poll = async () => {
      this.shown.push(await this.show());
      return condition();
    };
    await waitUntil(poll, { what, withinMs: 120_000, everyMs: 50 });
  }

  async waitUntilEnded(): Promise<void> {
    await this.pollUntil(
      () => !['queued', 'running'].includes(this.shown.at(-1)!.status),
      'the video to end',
    );
  }

  /** Sends SIGKILL to the worker that runs it. @returns the attempt, and the time of the kill in ms since the epoch. */
  async killWorker(): Promise<{ attempt: number; at: number }> {
    const { pid, attempt } = await this.deps.database.one<{ pid: number; attempt: number }>(
      `select w.pid, t.attempt from tasks t join workers w on w.id = t.worker_id
       where t.id = $1 and t.status = 'running'`,
      [this.id],
    );
    process.kill(pid, 'SIGKILL');
    const at = Date.now();
    await waitUntil(() => isGone(pid), { what: 'a killed worker to exit', everyMs: 5 });
    return { attempt, at };
  }

  /** @returns ms from a kill to the start of the next attempt. */
  async measureResume({ attempt, at }: { attempt: number; at: number }): Promise<number> {
    let found: { at: Date } | undefined;
    await this.pollUntil(async () => {
      [found] = await this.deps.database.rows<{ at: Date }>(
        'select started_at as at from attempts where task_id = $1 and number > $2 order by number limit 1',
        [this.id, attempt],
      );
      return found !== undefined;
    }, 'the video to be resumed');
    return found!.at.getTime() - at;
  }

  /** Cancels it. @returns ms until the upstream received the cancel call; null if it did not within `withinMs`. */
  async cancel(withinMs: number): Promise<number | null> {
    const { platform, upstream } = this.deps;
    const at = Date.now();
    await platform.client.post(`/videos/${this.id}/cancel`);
    while (Date.now() < at + withinMs) {
      const [call] = upstream.findCalls('', this.provider.cancelMethod);
      if (call) return call.at - at;
      await sleep(10);
    }
    return null;
  }

  /** Runs that were started upstream. */
  get upstreamRuns(): number {
    return this.deps.upstream.findCalls('').filter(({ path }) => path === this.provider.startPath).length;
  }

  get lastStatus(): string {
    return this.shown.at(-1)?.status ?? 'never read';
  }

  /** The video's bytes. */
  async content(): Promise<Buffer> {
    const answer = await this.deps.platform.client.videos.downloadContent(this.id);
    return Buffer.from(await answer.arrayBuffer());
  }

  private async show(): Promise<ShownState> {
    const { client } = this.deps.platform;
    const { progress: videoPercent } = await client.videos.retrieve(this.id);
    const { status, progress } = await client.get<TaskResponse>(`/tasks/${this.id}`);
    return { status, percent: progress?.percent ?? null, videoPercent };
  }
}

function isGone(pid: number): boolean {
  try {
    return !process.kill(pid, 0);
  } catch {
    return true;
  }
}

/** @returns each decrease of the progress that the caller read, and each queued state that had a progress. */
export function findDecreases(shown: readonly ShownState[]): string[] {
  const wrong: string[] = [];
  let [percent, video] = [0, 0];
  for (const { status, percent: now, videoPercent } of shown) {
    if (status === 'queued' && now !== null) wrong.push(`queued at ${now} %`);
    if (now !== null && now < percent) wrong.push(`${percent} % to ${now} %`);
    if (videoPercent < video) wrong.push(`video endpoint: ${video} % to ${videoPercent} %`);
    percent = Math.max(percent, now ?? 0);
    video = Math.max(video, videoPercent);
  }
  return wrong;
}
