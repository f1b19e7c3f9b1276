/** `/v1/usage`: what a workspace has used, up to this moment; and what the deployment's tokens have cost. */
import { Controller, Get, Inject, Query } from '@nestjs/common';
import type { AppConfig } from '#config';
import { usageQuery, type CreditObject, type UsagePage, type UsageQueryParams } from '@millrace/contracts';
import { UsageStore, type Caller } from '#database';
import { Forbidden } from '#domain';
import type { Providers } from '#providers';
import { CurrentCaller } from '../access/access.guard.ts';
import { CONFIG, PROVIDERS } from '../infrastructure/tokens.ts';
import { buildCredits, getStartOfMonth } from './credits.ts';
import { buildUsageQuery, getSpan, toUsagePage } from './usage-page.ts';

@Controller('v1/usage')
export class UsageController {
  constructor(
    @Inject(UsageStore) private readonly usage: UsageStore,
    @Inject(PROVIDERS) private readonly providers: Providers,
    @Inject(CONFIG) private readonly config: AppConfig,
  ) {}

  @Get()
  async read(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: usageQuery }) query: UsageQueryParams,
  ): Promise<UsagePage> {
    const span = getSpan(query, Math.floor(Date.now() / 1_000));
    return toUsagePage(await this.usage.getUsage(workspaceId, buildUsageQuery(query, span)), span);
  }

  /** All workspaces share the tokens: what is left of them is for who runs the deployment. */
  @Get('credit')
  async credit(
    @CurrentCaller() { operatesInstance }: Caller,
  ): Promise<{ object: 'list'; data: CreditObject[] }> {
    if (!operatesInstance) {
      throw new Forbidden(
        'Providers’ tokens are shared: only the workspace that runs this deployment sees what is left of them.',
        { code: 'operators_only' },
      );
    }
    const since = getStartOfMonth(new Date());
    const used = await this.usage.listTokenUsage(since);
    const data = buildCredits(used, this.providers.list, this.config.FREE_CREDIT_USD, since);
    return { object: 'list', data };
  }
}
