export type {
  Delta,
  Handler,
  HostedModel as HeldModel,
  ModelHost,
  Progress,
  Provider,
  Run,
} from './provider.ts';
export { createSilentRun as silentRun } from './silent-run.ts';
export { createProviders, type Providers, type Route } from './registry.ts';
