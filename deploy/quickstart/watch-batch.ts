/** Follows a batch to its end by what the server pushes over Socket.IO; asks only while nothing comes. */
import type OpenAI from 'openai';
import { io } from 'socket.io-client';

export type Batch = OpenAI.Batch & { millrace?: { progress: number; lines_per_second: number | null } };

interface State {
  readonly subject: string;
  readonly data: Batch;
}

const silenceMs = 2_000;
const ended = new Set(['completed', 'failed', 'expired', 'cancelled']);

export interface WatchedBatch {
  readonly batch: Batch;
  /** How many states the server pushed. */
  readonly pushes: number;
}

/** @param onState called with each newer state. */
export async function watchBatch(
  { client, url, apiKey, id }: { client: OpenAI; url: string; apiKey: string; id: string },
  onState: (batch: Batch) => void,
): Promise<WatchedBatch> {
  const socket = io(url, { auth: { apiKey } });
  let timer: NodeJS.Timeout | undefined;
  let pushes = 0;
  let heardAt = Date.now();
  try {
    return await new Promise<WatchedBatch>((done, fail) => {
      const take = (batch: Batch): void => {
        heardAt = Date.now();
        onState(batch);
        if (ended.has(batch.status)) done({ batch, pushes });
      };
      socket.on('connect', () => {
        socket.emit('subscribe', { batch: id }, (answer: { ok: true; state: State } | { ok: false }) => {
          if (answer.ok) take(answer.state.data);
        });
      });
      socket.on('state', (state: State) => {
        if (state.subject !== id) return;
        pushes++;
        take(state.data);
      });
      const ask = async (): Promise<void> => {
        if (Date.now() - heardAt < silenceMs) return;
        heardAt = Date.now();
        take(await client.batches.retrieve(id));
      };
      timer = setInterval(() => void ask().catch(fail), 250);
      socket.on('disconnect', () => (heardAt = 0));
    });
  } finally {
    clearInterval(timer);
    socket.disconnect();
  }
}
