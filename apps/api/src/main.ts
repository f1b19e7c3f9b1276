/** The API's process: settings in, signals and a lost supervisor out. */
import 'reflect-metadata';
import { loadAppConfigOrExit } from '#config';
import { createLogger } from '#telemetry';
import { startApi } from './start-api.ts';

const config = loadAppConfigOrExit();
const log = createLogger('api', config.LOG_LEVEL);

try {
  const api = await startApi(config, log);
  let stopping = false;
  const stop = async (why: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ why }, 'stopping');
    await api.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
  process.on('disconnect', () => void stop('the supervisor is gone'));
} catch (error) {
  log.fatal({ err: error }, 'the API could not start');
  process.exit(1);
}
