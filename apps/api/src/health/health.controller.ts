/** Health checks of the process and of what it depends on, and metrics. */
import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Liveness, Readiness } from '@millrace/contracts';
import { renderMetrics } from '#telemetry';
import { Public } from '../access/decorators.ts';
import { CHECK_READINESS, type CheckReadiness } from './check-readiness.ts';

@Controller()
export class HealthController {
  constructor(@Inject(CHECK_READINESS) private readonly checkReadiness: CheckReadiness) {}

  @Get('health/live')
  @Public()
  live(): Liveness {
    return { status: 'ok' };
  }

  /** 503 when a check fails. */
  @Get('health/ready')
  @Public()
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<Readiness> {
    const readiness = await this.checkReadiness();
    void reply.status(readiness.status === 'ok' ? 200 : 503);
    return readiness;
  }

  @Get('metrics')
  @Public()
  async metrics(@Res() reply: FastifyReply): Promise<void> {
    const { contentType, text } = await renderMetrics();
    await reply.header('content-type', contentType).send(text);
  }
}
