/** The embedded PostgreSQL under the supervisor: restarted when it exits, on the same port if that is still free. */
import { sleepOrAbort, waitForAbort } from '#async';
import { getRestartDelay } from './restart-delay.ts';
import type { SupervisorOutput } from './output.ts';
import { startPostgres, type EmbeddedPostgres, type PostgresOptions } from './postgres.ts';
import type { StopMode } from './postmaster.ts';
import { getArguments } from './process-ref.ts';
import { deleteProcessRecord, saveProcessRecord } from './process-records.ts';

export interface SupervisedPostgres {
  readonly url: string;
  stop(mode: StopMode): Promise<void>;
}

/** @param onMoved called with the new URL when a restart had to use another port */
export async function supervisePostgres(
  options: Omit<PostgresOptions, 'log'>,
  output: SupervisorOutput,
  onMoved: (url: string) => void,
): Promise<SupervisedPostgres> {
  const stopping = new AbortController();
  const start = async (): Promise<EmbeddedPostgres> => {
    const server = await startPostgres({ ...options, log: output.log });
    await saveProcessRecord(options.home, 'postgres', server.pid, (await getArguments(server.pid)) ?? []);
    output.log(`postgres ${server.adopted ? 'adopted' : 'started'} (pid ${server.pid}, port ${server.port})`);
    return server;
  };
  let server = await start();

  const run = async (): Promise<void> => {
    let delay: number | null = null;
    for (;;) {
      const startedAt = performance.now();
      await Promise.race([server.exited, waitForAbort(stopping.signal)]);
      if (stopping.signal.aborted) return;
      delay = getRestartDelay(delay, performance.now() - startedAt);
      output.log(`postgres exited; restarting it in ${delay / 1_000} s`, 'warn');
      await sleepOrAbort(delay, stopping.signal);
      if (stopping.signal.aborted) return;
      const before = server.url;
      try {
        server = await start();
        if (server.url !== before) onMoved(server.url);
      } catch (error) {
        output.log((error as Error).message, 'error');
      }
    }
  };
  const running = run();

  return {
    get url() {
      return server.url;
    },
    async stop(mode) {
      stopping.abort();
      await running;
      await server.stop(mode);
      await deleteProcessRecord(options.home, 'postgres');
    },
  };
}
