export {
  loadAppConfigOrExit,
  loadCliConfig,
  loadConfigOrExit,
  type AppConfig,
  type Config,
} from './config.ts';
export { buildModelOptions } from './model-options.ts';
export { loadPriceTable } from './price-table.ts';
export { buildProviderOptions } from './provider-options.ts';
export { getPublicUrl, buildObjectStorageOptions } from './object-storage-options.ts';
export { version } from './version.ts';
