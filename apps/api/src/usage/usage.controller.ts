/** `/v1/usage`: what a workspace has used, up to this moment; and what the deployment's tokens have cost. */
import { Controller, Get, Inject, Query } from '@nestjs/common';
import type { AppConfig } from '#config';
import { usageQuery, type CreditObject, type UsagePage, type UsageQueryParams } from '#contracts';
import { UsageStore, type Caller } from '#database';
import { Forbidden } from '#domain';
import type { Providers } from '#providers';
import { CallerOf } from '../access/api-key.guard.ts';
import { CONFIG, PROVIDERS } from '../tokens.ts';
import { creditsOf, monthOf } from './credit.ts';
import { queryOf, spanOf, toUsagePage } from './usage-page.ts';

@Controller('v1/usage')
export class UsageController {
  constructor(
    @Inject(UsageStore) private readonly usage: UsageStore,
    @Inject(PROVIDERS) private readonly providers: Providers,
    @Inject(CONFIG) private readonly config: AppConfig,
  ) {}

  @Get()
  async read(
    @CallerOf() { workspaceId }: Caller,
    @Query({ schema: usageQuery }) query: UsageQueryParams,
  ): Promise<UsagePage> {
    const span = spanOf(query, Math.floor(Date.now() / 1_000));
    return toUsagePage(await this.usage.read(workspaceId, queryOf(query, span)), span);
  }

  /** All workspaces share the tokens: what is left of them is for who runs the deployment. */
  @Get('credit')
  async credit(@CallerOf() { operates }: Caller): Promise<{ object: 'list'; data: CreditObject[] }> {
    if (!operates) {
      throw new Forbidden(
        'Providers’ tokens are shared: only the workspace that runs this deployment sees what is left of them.',
        { code: 'operators_only' },
      );
    }
    const since = monthOf(new Date());
    const used = await this.usage.tokens(since);
    const data = creditsOf(used, this.providers.list, this.config.FREE_CREDIT_USD, since);
    return { object: 'list', data };
  }
}
