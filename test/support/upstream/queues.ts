/**
 * The queues of the inference providers behind Hugging Face's router: fal's (https://docs.fal.ai/model-endpoints/queue)
 * and Replicate's (https://replicate.com/docs/reference/http).
 */
import { mp4, png } from './model-outputs.ts';
import { errorReply, type Reply, type Route } from './call.ts';
import type { RenderStatus, RenderJobs } from './render-jobs.ts';

const falStates = {
  queued: 'IN_QUEUE',
  running: 'IN_PROGRESS',
  done: 'COMPLETED',
  canceled: 'COMPLETED',
} as const;
const replicateStates = {
  queued: 'starting',
  running: 'processing',
  done: 'succeeded',
  canceled: 'canceled',
} as const;

export const queues =
  (deps: RenderJobs, base: () => string): Route =>
  (call) => {
    if (call.path === '/media/video.mp4') return { headers: { 'content-type': 'video/mp4' }, bytes: mp4 };
    if (call.path === '/media/image.png') return { headers: { 'content-type': 'image/png' }, bytes: png };
    const [, model, id, verb] =
      /^\/fal-ai\/(.+?)(?:\/requests\/([^/]+)(?:\/(status|cancel))?)?$/.exec(call.path) ?? [];
    if (model !== undefined) return fal(call.method, model, id, verb, deps, base, call.body);
    const [, slug, prediction, cancel] =
      /^\/replicate\/v1\/(?:models\/(.+?)\/)?predictions(?:\/([^/]+))?(\/cancel)?$/.exec(call.path) ?? [];
    if (!call.path.startsWith('/replicate/v1/')) return undefined;
    if (prediction === undefined) {
      const begun = deps.start({ slug, ...(call.body as object) });
      // The official client waits for the finished prediction and does not poll.
      const isWaitedFor = String(call.headers['prefer']).startsWith('wait');
      if (isWaitedFor) begun.polls = deps.pollsUntilDone;
      const look = isWaitedFor ? deps.poll(begun.id)! : ({ state: 'queued', percent: 0 } as const);
      return { status: 201, json: predictionOf(begun.id, look, base()) };
    }
    if (!deps.all.has(prediction)) return errorReply(404, 'no such prediction');
    if (cancel) deps.cancel(prediction);
    return { json: predictionOf(prediction, deps.poll(prediction)!, base()) };
  };

function fal(
  method: string,
  model: string,
  id: string | undefined,
  verb: string | undefined,
  deps: RenderJobs,
  base: () => string,
  body: unknown,
): Reply {
  if (id === undefined) {
    const { id: started } = deps.start({ model, ...(body as object) });
    const url = `https://queue.fal.run/fal-ai/${model}/requests/${started}`;
    const urls = { response_url: url, status_url: `${url}/status`, cancel_url: `${url}/cancel` };
    return { json: { request_id: started, status: 'IN_QUEUE', queue_position: 0, ...urls } };
  }
  if (!deps.all.has(id)) return errorReply(404, 'Request not found');
  if (verb === 'cancel')
    return deps.cancel(id) && method === 'PUT'
      ? { status: 202, json: { status: 'CANCELLATION_REQUESTED' } }
      : errorReply(400, 'PUT');
  if (verb === 'status') {
    const look = deps.poll(id)!;
    const logs =
      look.state === 'running' ? [{ timestamp: '', level: 'INFO', message: `${look.percent} %` }] : [];
    const position = look.state === 'queued' ? { queue_position: 2 } : {};
    return {
      status: look.state === 'done' ? 200 : 202,
      json: { status: falStates[look.state], logs, ...position },
    };
  }
  return {
    json: {
      video: { url: `${base()}/media/video.mp4`, content_type: 'video/mp4' },
      images: [{ url: `${base()}/media/image.png`, content_type: 'image/png' }],
    },
  };
}

const predictionOf = (id: string, { state, percent }: RenderStatus, base: string) => ({
  id,
  status: replicateStates[state],
  logs: state === 'running' ? `${percent}%|###` : '',
  error: null,
  output: state === 'done' ? `${base}/media/video.mp4` : null,
  urls: {
    get: `https://api.replicate.com/v1/predictions/${id}`,
    cancel: `https://api.replicate.com/v1/predictions/${id}/cancel`,
  },
});
