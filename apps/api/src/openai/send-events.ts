/** Streams the output of a task as server-sent events, from the deltas on the bus and the stored output at the end. */
import type { FastifyReply } from 'fastify';
import type { EndedTask } from '#database';
import { Failure } from '#domain';
import type { Fields, OpenAiEndpoint, ResponseEvent, ResponseStream } from '#openai-endpoints';
import type { Bus, StreamItem } from '#realtime';
import type { ObjectStorage } from '#storage';
import { toWireError } from '../http/error.filter.ts';
import { SseStream } from '../http/sse-stream.ts';
import { readTaskOutput } from '../tasks/send-task-result.ts';
import type { SubmittedTask } from '../tasks/submit-task.ts';

export interface SendEventsOptions {
  readonly endpoint: OpenAiEndpoint;
  readonly body: Fields;
  readonly bus: Pick<Bus, 'subscribeStream'>;
  readonly objects: ObjectStorage;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  readonly submit: (beforeQueued: (taskId: string) => Promise<void>) => Promise<SubmittedTask>;
  readonly waitForEnd: (submitted: SubmittedTask) => Promise<EndedTask | null>;
}

/** @throws what `submit` throws, before the stream begins. Later failures are events. */
export async function sendEvents(reply: FastifyReply, options: SendEventsOptions): Promise<void> {
  const { endpoint, body, bus, objects, signal, submit, waitForEnd } = options;
  const early: StreamItem[] = [];
  let onItem = (item: StreamItem): void => void early.push(item);
  let unsubscribe: (() => Promise<void>) | undefined;
  try {
    const submitted = await submit(async (taskId) => {
      // A worker may send the first delta as soon as the task is queued.
      unsubscribe = await bus.subscribeStream(taskId, (item) => onItem(item));
    });
    const { taskId } = submitted;
    const stream = endpoint.openStream!(body, taskId);
    const sse = new SseStream(reply);
    const send = (events: readonly ResponseEvent[]) => {
      for (const event of events) void sse.send(event);
    };
    send(stream.begin());
    onItem = (item) => send(stream.addItem(item));
    for (const item of early) onItem(item);
    const end = await waitForEnd(submitted);
    onItem = () => undefined;
    if (!signal.aborted) send(await finishStream(stream, end, { taskId, objects }));
    sse.end();
  } finally {
    await unsubscribe?.();
  }
}

async function finishStream(
  stream: ResponseStream,
  end: EndedTask | null,
  task: { readonly taskId: string; readonly objects: ObjectStorage },
): Promise<ResponseEvent[]> {
  try {
    return stream.complete(await readTaskOutput(end, task));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return stream.fail(toWireError(error, 500));
  }
}
