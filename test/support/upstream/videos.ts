/** `/v1/videos` of OpenAI's API: https://platform.openai.com/docs/api-reference/videos */
import { mp4, png } from './model-outputs.ts';
import { errorReply, type Reply, type Route, type UpstreamCall } from './call.ts';
import type { RenderStatus, RenderJobs } from './render-jobs.ts';

export const videos =
  (deps: RenderJobs): Route =>
  (call) => {
    const [, id, content] = /\/v1\/videos(?:\/([^/]+))?(\/content)?$/.exec(call.path) ?? [];
    if (!/\/v1\/videos(\/|$)/.test(call.path)) return undefined;
    if (call.method === 'POST') return create(call, deps);
    if (id === undefined || !deps.all.has(id)) return errorReply(404, `Video with id '${id}' not found.`);
    if (call.method === 'DELETE') {
      deps.cancel(id);
      return { json: { id, object: 'video.deleted', deleted: true } };
    }
    if (!content) return { json: videoOf(id, deps, deps.poll(id)!) };
    if (call.query.get('variant') === 'thumbnail')
      return { headers: { 'content-type': 'image/png' }, bytes: png };
    return { headers: { 'content-type': 'video/mp4' }, bytes: mp4 };
  };

function create({ body }: UpstreamCall, deps: RenderJobs): Reply {
  const { id } = deps.start(body as Record<string, unknown>);
  return { json: videoOf(id, deps, { state: 'queued', percent: 0 }) };
}

const states = { queued: 'queued', running: 'in_progress', done: 'completed', canceled: 'failed' } as const;

function videoOf(id: string, deps: RenderJobs, { state, percent }: RenderStatus) {
  const { model, prompt, seconds = '4', size = '720x1280' } = deps.all.get(id)!.input;
  return {
    ...{ id, object: 'video', model, prompt, seconds, size, progress: percent, status: states[state] },
    ...{ created_at: 1_700_000_000, completed_at: state === 'done' ? 1_700_000_009 : null, expires_at: null },
    ...{ error: null, remixed_from_video_id: null },
  };
}
