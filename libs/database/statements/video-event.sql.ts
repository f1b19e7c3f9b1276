/** The end of a video as OpenAI's webhooks name it: one event more, just before the last event of its task. */
import { videoKinds } from '@millrace/contracts';

const isVideo = `kind in (${videoKinds.map((kind) => `'${kind}'`).join(', ')})`;

/** Number of events at the end of a task, by which its sequence grows. */
export const endEvents = `(1 + (${isVideo})::int)`;

/** @param from the ended tasks, with their new `status` and `sequence`. */
export const insertVideoEvent = (from: string): string => `
    insert into events (id, workspace_id, subject, sequence, type, data)
    select 'evt_' || replace(gen_random_uuid()::text, '-', ''), workspace_id, id, sequence - 1,
      case status when 'succeeded' then 'video.completed' else 'video.failed' end, json_build_object('id', id)
    from ${from} where ${isVideo}`;
