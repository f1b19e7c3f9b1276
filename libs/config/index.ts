export {
  loadAppConfigOrExit,
  loadCliConfig,
  loadConfigOrExit,
  type AppConfig,
  type Config,
} from './config.ts';
export { modelOptions } from './model-options.ts';
export { priceTable } from './price-table.ts';
export { providerOptions } from './provider-options.ts';
export { publicUrl, storeOptions } from './store-options.ts';
export { version } from './version.ts';
