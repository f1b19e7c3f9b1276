/** Shorthands for a module's providers: stores, use cases and options. */
import type { FactoryProvider, InjectionToken } from '@nestjs/common';
import type { AppConfig } from '#config';
import { Database } from '#database';
import { CONFIG } from './tokens.ts';

type StoreClass = new (database: Database) => object;

/** Providers for the stores that a feature reads. A store holds no state, so each module has its own instance. */
export const provideStores = (...stores: StoreClass[]): FactoryProvider[] =>
  stores.map((Store) => ({
    provide: Store,
    useFactory: (database: Database) => new Store(database),
    inject: [Database],
  }));

/**
 * A provider that calls `build` with the named dependencies:
 * `provideWith(CREATE_BATCH, createBatchWith, { batches: BatchStore, queues: QUEUES })`.
 */
export function provideWith<Deps extends object>(
  token: InjectionToken,
  build: (deps: Deps) => unknown,
  tokens: { readonly [Name in keyof Deps]: InjectionToken },
): FactoryProvider {
  const names = Object.keys(tokens) as (keyof Deps)[];
  return {
    provide: token,
    useFactory: (...values: unknown[]) =>
      build(Object.fromEntries(names.map((name, index) => [name, values[index]])) as Deps),
    inject: names.map((name) => tokens[name]),
  };
}

/** The part of the settings that a feature needs, so that its controllers and use cases do not read the rest. */
export const provideOptions = <Options>(
  token: InjectionToken<Options>,
  select: (config: AppConfig) => Options,
): FactoryProvider<Options> => ({ provide: token, useFactory: select, inject: [CONFIG] });
