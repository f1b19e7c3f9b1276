/** Records webhook attempts in batches: those that end while a statement runs are written together by the next one. */
import { sleep } from '#async';
import type { DeliveryAttempt } from '#database';
import type { Logger } from '#telemetry';

export interface FailingEndpoint {
  readonly id: string;
  readonly failingSince: Date;
}

export interface AttemptRecorderOptions<Attempt extends DeliveryAttempt> {
  readonly record: (attempts: readonly Attempt[]) => Promise<FailingEndpoint[]>;
  readonly onRecorded: (attempts: readonly Attempt[], failing: readonly FailingEndpoint[]) => Promise<void>;
  readonly log: Logger;
}

export interface AttemptRecorder<Attempt extends DeliveryAttempt> {
  put(attempt: Attempt): void;
  /** Records what is left. Gives up when the database does not answer. */
  stop(): Promise<void>;
}

const page = 100;
const retryMs = 250;
const maxRetriesOnStop = 8;

export function startAttemptRecorder<Attempt extends DeliveryAttempt>({
  record,
  onRecorded,
  log,
}: AttemptRecorderOptions<Attempt>): AttemptRecorder<Attempt> {
  let waiting: Attempt[] = [];
  let writing: Promise<void> | null = null;
  let isStopping = false;

  async function write(): Promise<void> {
    let failures = 0;
    while (waiting.length > 0) {
      const attempts = waiting.splice(0, page);
      try {
        const failing = await record(attempts);
        failures = 0;
        // If this fails, the endpoint's next failure does it again.
        await onRecorded(attempts, failing).catch((error: unknown) => {
          log.warn({ err: error }, 'could not update webhook endpoints after their attempts');
        });
      } catch (error) {
        // An attempt that is not recorded would be sent again, so it is kept as long as this process runs.
        waiting = [...attempts, ...waiting];
        if (failures++ === 0)
          log.warn({ err: error, attempts: attempts.length }, 'could not record webhook attempts');
        if (isStopping && failures > maxRetriesOnStop) return;
        await sleep(retryMs);
      }
    }
  }

  const flush = () => {
    writing ??= write().finally(() => {
      writing = null;
      if (waiting.length > 0 && !isStopping) flush();
    });
  };

  return {
    put(attempt) {
      waiting.push(attempt);
      flush();
    },
    async stop() {
      isStopping = true;
      await writing;
    },
  };
}
