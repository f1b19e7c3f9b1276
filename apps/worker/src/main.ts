/** The worker process: reads settings, starts the worker, and stops it on a signal or when the supervisor is gone. */
import { exitAfterFailedStart, loadAppConfigOrExit } from '#config';
import { createLogger } from '#telemetry';
import { startWorker } from './worker.ts';

const config = loadAppConfigOrExit();
const log = createLogger('worker', config.LOG_LEVEL);

try {
  const worker = await startWorker(config, log, () => {
    log.fatal('this worker has consumed no work for a minute; it exits so that a new one is started');
    process.exit(1);
  });
  let isStopping = false;
  const stop = async (why: string) => {
    if (isStopping) return;
    isStopping = true;
    log.info({ why }, 'stopping');
    await worker.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
  process.on('disconnect', () => void stop('the supervisor is gone'));
  process.send?.('ready');
} catch (error) {
  exitAfterFailedStart(error, log);
}
