/** Follows a batch until it ends: by Socket.IO updates, and by polling while no update arrives. */
import type OpenAI from 'openai';
import { io } from 'socket.io-client';

export type Batch = OpenAI.Batch & { millrace?: { progress: number; lines_per_second: number | null } };

interface State {
  readonly subject: string;
  readonly data: Batch;
}

const maxSilenceMs = 2_000;
const finalStatuses = new Set(['completed', 'failed', 'expired', 'cancelled']);

export interface WatchedBatch {
  readonly batch: Batch;
  /** How many updates the server pushed. */
  readonly pushes: number;
}

/** @param onState called with the batch after each update */
export async function watchBatch(
  { client, url, apiKey, id }: { client: OpenAI; url: string; apiKey: string; id: string },
  onState: (batch: Batch) => void,
): Promise<WatchedBatch> {
  const socket = io(url, { auth: { apiKey } });
  let timer: NodeJS.Timeout | undefined;
  let pushes = 0;
  let updatedAt = Date.now();
  try {
    return await new Promise<WatchedBatch>((done, fail) => {
      const handle = (batch: Batch): void => {
        updatedAt = Date.now();
        onState(batch);
        if (finalStatuses.has(batch.status)) done({ batch, pushes });
      };
      socket.on('connect', () => {
        socket.emit('subscribe', { batch: id }, (answer: { ok: true; state: State } | { ok: false }) => {
          if (answer.ok) handle(answer.state.data);
        });
      });
      socket.on('state', (state: State) => {
        if (state.subject !== id) return;
        pushes++;
        handle(state.data);
      });
      const poll = async (): Promise<void> => {
        if (Date.now() - updatedAt < maxSilenceMs) return;
        updatedAt = Date.now();
        handle(await client.batches.retrieve(id));
      };
      timer = setInterval(() => void poll().catch(fail), 250);
      socket.on('disconnect', () => (updatedAt = 0));
    });
  } finally {
    clearInterval(timer);
    socket.disconnect();
  }
}
