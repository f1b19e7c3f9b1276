/** Writes down tries as they end, those that ended meanwhile together: a burst costs statements, not one for each. */
import type { DeliveryTry } from '#database';
import type { Logger } from '#telemetry';

export interface AttemptRecorderOptions<Try extends DeliveryTry> {
  readonly record: (tries: readonly Try[]) => Promise<{ id: string; failingSince: Date }[]>;
  readonly onRecorded: (
    tries: readonly Try[],
    failing: readonly { id: string; failingSince: Date }[],
  ) => Promise<void>;
  readonly log: Logger;
}

export interface AttemptRecorder<Try extends DeliveryTry> {
  put(sent: Try): void;
  /** Writes what there is, as long as the database lets it. */
  stop(): Promise<void>;
}

const page = 100;
const againMs = 250;
const lastTries = 8;

export function startAttemptRecorder<Try extends DeliveryTry>(
  deps: AttemptRecorderOptions<Try>,
): AttemptRecorder<Try> {
  let waiting: Try[] = [];
  let writing: Promise<void> | null = null;
  let stopping = false;

  async function write(): Promise<void> {
    let failures = 0;
    while (waiting.length > 0) {
      const tries = waiting.splice(0, page);
      try {
        const failing = await deps.record(tries);
        failures = 0;
        // What follows from them is asked again by the next failure.
        await deps.onRecorded(tries, failing).catch((error: unknown) => {
          deps.log.warn({ err: error }, 'what follows from webhook tries could not be done');
        });
      } catch (error) {
        // Not written, it would be sent again: so it is held, for as long as this process lives.
        waiting = [...tries, ...waiting];
        if (failures++ === 0)
          deps.log.warn({ err: error, tries: tries.length }, 'webhook tries could not be recorded');
        if (stopping && failures > lastTries) return;
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  }

  const flush = () => {
    writing ??= write().finally(() => {
      writing = null;
      if (waiting.length > 0 && !stopping) flush();
    });
  };

  return {
    put(sent) {
      waiting.push(sent);
      flush();
    },
    async stop() {
      stopping = true;
      await writing;
    },
  };
}
