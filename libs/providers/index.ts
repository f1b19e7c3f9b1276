export type { ProviderCredential } from './credential.ts';
export type { HostedModel, ModelHost } from './model-host.ts';
export type { Provider } from './provider.ts';
export { createProviders, type Providers, type Route } from './registry.ts';
export type { Call, Delta, Handler, ModelAccess, Progress, Run } from './run.ts';
export { createSilentRun } from './silent-run.ts';
