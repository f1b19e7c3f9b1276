export type { Delta, Handler, HeldModel, ModelHost, Progress, Provider, Run } from './provider.ts';
export { silentRun } from './silent-run.ts';
export { createProviders, type Providers, type Route } from './registry.ts';
