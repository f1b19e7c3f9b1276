/** Who may call: the guard of every route, and how a key is checked. Creates the first workspace before the API listens. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { getPublicUrl } from '#config';
import { AccessStore } from '#database';
import type { Logger } from '#telemetry';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores } from '../infrastructure/provide.ts';
import { LOGGER } from '../infrastructure/tokens.ts';
import { AccessGuard } from './access.guard.ts';
import { AUTHENTICATE, authenticateWith } from './authenticate.ts';
import { createFirstWorkspace } from './create-first-workspace.ts';

const FIRST_WORKSPACE_OPTIONS = Symbol('first workspace options');

interface FirstWorkspaceOptions {
  /** The data folder, where the credentials are written. */
  readonly home: string;
  readonly url: string;
}

@Module({
  imports: [InfrastructureModule],
  providers: [
    ...provideStores(AccessStore),
    { provide: AUTHENTICATE, useFactory: authenticateWith, inject: [AccessStore] },
    { provide: APP_GUARD, useClass: AccessGuard },
    provideOptions(FIRST_WORKSPACE_OPTIONS, (config): FirstWorkspaceOptions => ({
      home: config.MILLRACE_HOME,
      url: getPublicUrl(config),
    })),
  ],
  exports: [AUTHENTICATE],
})
export class AccessModule implements OnModuleInit {
  constructor(
    @Inject(AccessStore) private readonly access: AccessStore,
    @Inject(FIRST_WORKSPACE_OPTIONS) private readonly options: FirstWorkspaceOptions,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    const result = await createFirstWorkspace(this.access, this.options.home, this.options.url);
    if (result === 'created') {
      this.log.info(
        { path: 'credentials.json' },
        'first start: created a workspace, an admin and an API key',
      );
    } else if (result === 'missing') {
      this.log.warn('the data folder has no API key of this database; `npm start -- --new-key` makes one');
    }
  }
}
