export { ConfigError, configExitCode } from './config-error.ts';
export { loadCliConfig, type AppConfig, type Config } from './config.ts';
export {
  exitAfterFailedStart,
  loadAppConfigOrExit,
  loadSupervisorConfigOrExit,
  type StartFailure,
} from './start-process.ts';
export { buildModelOptions } from './model-options.ts';
export { loadPriceTable } from './price-table.ts';
export { buildProviderOptions } from './provider-options.ts';
export { getPublicUrl, buildObjectStorageOptions } from './object-storage-options.ts';
export { version } from './version.ts';
export { isBlockedPort } from './settings/blocked-ports.ts';
