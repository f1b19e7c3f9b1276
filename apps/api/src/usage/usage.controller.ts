/** `/v1/usage`: what a workspace has used until now, and what the deployment's provider tokens have cost. */
import { Controller, Get, Inject, Query } from '@nestjs/common';
import { usageQuery, type CreditObject, type UsagePage, type UsageQueryParams } from '@millrace/contracts';
import { UsageStore } from '#database';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import type { Caller } from '../access/caller.ts';
import { READ_CREDITS, type ReadCredits } from './read-credits.ts';
import { buildUsageQuery, getSpan, toUsagePage } from './usage-page.ts';

@Controller('v1/usage')
export class UsageController {
  constructor(
    @Inject(UsageStore) private readonly usage: UsageStore,
    @Inject(READ_CREDITS) private readonly readCredits: ReadCredits,
  ) {}

  @Get()
  @Requires('usage:read')
  async read(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: usageQuery }) query: UsageQueryParams,
  ): Promise<UsagePage> {
    const span = getSpan(query, Math.floor(Date.now() / 1_000));
    return toUsagePage(await this.usage.getUsage(workspaceId, buildUsageQuery(query, span)), span);
  }

  /** All workspaces share the providers' tokens, so only the workspace that runs the deployment may read this. */
  @Get('credit')
  @Requires('credits:read')
  async credit(): Promise<{ object: 'list'; data: CreditObject[] }> {
    return { object: 'list', data: await this.readCredits() };
  }
}
