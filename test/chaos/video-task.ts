/** A film on its way through the platform: who runs it, what its caller is shown of it, and what the upstream has seen. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil, type Platform } from '../support/platform.ts';
import type { ScriptedUpstream } from '../support/upstream/server.ts';
import type { DatabaseReader } from './database-reader.ts';

/** One way to have a film made: a model, and the calls that its provider makes for it. */
export interface VideoProvider {
  readonly name: string;
  readonly model: string;
  /** Path of the call that begins a run. */
  readonly begins: string;
  /** Path that every look at a run contains. */
  readonly queueSnapshots: string;
  /** Method of the call that ends one. */
  readonly cancels: string;
}

export const videoProviders: readonly VideoProvider[] = [
  {
    name: '/v1/videos',
    model: 'scripted/film',
    begins: '/v1/videos',
    queueSnapshots: '/v1/videos/',
    cancels: 'DELETE',
  },
  {
    name: 'fal’s queue',
    model: 'hf/fal/text-to-video',
    begins: '/fal-ai/fal-ai/text-to-video',
    queueSnapshots: '/status',
    cancels: 'PUT',
  },
];

/** What a caller was shown, as a task and as a video. */
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
    readonly way: VideoProvider,
    private readonly deps: { platform: Platform; database: DatabaseReader; upstream: ScriptedUpstream },
  ) {}

  static async begin(
    way: VideoProvider,
    deps: { platform: Platform; database: DatabaseReader; upstream: ScriptedUpstream },
  ): Promise<VideoTask> {
    deps.upstream.calls.length = 0;
    const { id } = await deps.platform.client.videos.create({ model: way.model, prompt: 'A mill turns.' });
    return new VideoTask(id, way, deps);
  }

  /** Waits until the upstream has been looked at so often, and has said that it renders. */
  async rendering(queueSnapshots: number): Promise<void> {
    const { upstream } = this.deps;
    await this.watched(
      () => upstream.findCalls(this.way.queueSnapshots, 'GET').length >= queueSnapshots,
      'the film to render',
    );
  }

  /** Looks at it as its caller does, until it is so. */
  async watched(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const look = async () => {
      this.shown.push(await this.show());
      return isSo();
    };
    await waitUntil(look, { what, withinMs: 120_000, everyMs: 50 });
  }

  async ended(): Promise<void> {
    await this.watched(() => !['queued', 'running'].includes(this.shown.at(-1)!.status), 'the film to end');
  }

  /** `kill -9` of the worker that has it. @returns its attempt, and when that was, in ms since the epoch. */
  async killWorker(): Promise<{ attempt: number; at: number }> {
    const { pid, attempt } = await this.deps.database.one<{ pid: number; attempt: number }>(
      `select w.pid, t.attempt from tasks t join workers w on w.id = t.worker_id
       where t.id = $1 and t.status = 'running'`,
      [this.id],
    );
    process.kill(pid, 'SIGKILL');
    const at = Date.now();
    await waitUntil(() => isGone(pid), { what: 'a killed worker to be dead', everyMs: 5 });
    return { attempt, at };
  }

  /** @returns ms from a kill to the next attempt. */
  async resumedAfter({ attempt, at }: { attempt: number; at: number }): Promise<number> {
    let found: { at: Date } | undefined;
    await this.watched(async () => {
      [found] = await this.deps.database.rows<{ at: Date }>(
        'select started_at as at from attempts where task_id = $1 and number > $2 order by number limit 1',
        [this.id, attempt],
      );
      return found !== undefined;
    }, 'the film to be taken up again');
    return found!.at.getTime() - at;
  }

  /** Cancels it. @returns ms until the upstream was told; null where it was not within `withinMs`. */
  async cancel(withinMs: number): Promise<number | null> {
    const { platform, upstream } = this.deps;
    const at = Date.now();
    await platform.client.post(`/videos/${this.id}/cancel`);
    while (Date.now() < at + withinMs) {
      const [told] = upstream.findCalls('', this.way.cancels);
      if (told) return told.at - at;
      await sleep(10);
    }
    return null;
  }

  /** Runs that were begun upstream. */
  get begun(): number {
    return this.deps.upstream.findCalls('').filter(({ path }) => path === this.way.begins).length;
  }

  get end(): string {
    return this.shown.at(-1)?.status ?? 'never seen';
  }

  /** The film's bytes. */
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

/** @returns where what a caller was shown went back, or said more of a film that waited than that it waits. */
export function findDecreases(shown: readonly ShownState[]): string[] {
  const wrong: string[] = [];
  let [percent, video] = [0, 0];
  for (const { status, percent: now, videoPercent } of shown) {
    if (status === 'queued' && now !== null) wrong.push(`queued at ${now} %`);
    if (now !== null && now < percent) wrong.push(`${percent} % to ${now} %`);
    if (videoPercent < video) wrong.push(`the video from ${video} % to ${videoPercent} %`);
    percent = Math.max(percent, now ?? 0);
    video = Math.max(video, videoPercent);
  }
  return wrong;
}
