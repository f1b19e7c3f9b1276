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

/**
 * The response begins with the first part of the answer, so that a failure before it has its own status. After this time
 * it begins anyway: proxies close a connection without a byte, mostly after 60 s.
 */
const maxSilenceMs = 25_000;

/** @throws what `submit` throws; the failure of a task that ends before the response begins. Later failures are events. */
export async function sendEvents(reply: FastifyReply, options: SendEventsOptions): Promise<void> {
  const { endpoint, body, bus, objects, signal, submit, waitForEnd } = options;
  const early: StreamItem[] = [];
  let onItem = (item: StreamItem): void => void early.push(item);
  let unsubscribe: (() => Promise<void>) | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    const submitted = await submit(async (taskId) => {
      // A worker may send the first delta as soon as the task is queued.
      unsubscribe = await bus.subscribeStream(taskId, (item) => onItem(item));
    });
    const { taskId } = submitted;
    const stream = endpoint.openStream!(body, taskId);
    const response = new LateResponse(reply, stream);
    timer = setTimeout(() => response.begin(), maxSilenceMs);
    onItem = (item) => {
      const events = stream.addItem(item);
      if (events.length > 0) response.send(events);
    };
    for (const item of early) onItem(item);
    const end = await waitForEnd(submitted);
    onItem = () => undefined;
    if (!signal.aborted)
      response.send(await finishStream(stream, end, { taskId, objects }, response.hasBegun));
    response.end();
  } finally {
    clearTimeout(timer);
    await unsubscribe?.();
  }
}

/** Begins a stream of events with the first event that is sent. */
class LateResponse {
  private sse: SseStream | null = null;

  constructor(
    private readonly reply: FastifyReply,
    private readonly stream: ResponseStream,
  ) {}

  get hasBegun(): boolean {
    return this.sse !== null;
  }

  begin(): SseStream {
    if (this.sse) return this.sse;
    this.sse = new SseStream(this.reply);
    for (const event of this.stream.begin()) void this.sse.send(event);
    return this.sse;
  }

  send(events: readonly ResponseEvent[]): void {
    const sse = this.begin();
    for (const event of events) void sse.send(event);
  }

  end(): void {
    this.sse?.end();
  }
}

/** @throws the task's failure if the response has not begun: the error filter answers it with its status. */
async function finishStream(
  stream: ResponseStream,
  end: EndedTask | null,
  task: { readonly taskId: string; readonly objects: ObjectStorage },
  hasBegun: boolean,
): Promise<ResponseEvent[]> {
  try {
    return stream.complete(await readTaskOutput(end, task));
  } catch (error) {
    if (!hasBegun || !(error instanceof Failure)) throw error;
    return stream.fail(toWireError(error, error.status));
  }
}
