/** The API's process: starts it, and stops it on a signal or when its supervisor is gone. */
import 'reflect-metadata';
import { exitAfterFailedStart } from '#config';
import { createLogger } from '#telemetry';
import { startApi } from './start-api.ts';

try {
  const api = await startApi();
  let isStopping = false;
  const stop = async (reason: string) => {
    if (isStopping) return;
    isStopping = true;
    api.log.info({ reason }, 'stopping');
    await api.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
  process.on('disconnect', () => void stop('the supervisor has exited'));
  process.send?.('ready');
} catch (error) {
  // The settings may be what failed, so this logger does not use them.
  exitAfterFailedStart(error, createLogger('api', 'info'));
}
