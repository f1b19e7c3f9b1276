/** Writes Nest's own messages to the log of the process. */
import type { LoggerService } from '@nestjs/common';
import type { Logger } from '#telemetry';

export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}
  log(message: unknown, ...context: unknown[]): void {
    this.logger.debug({ nest: context.at(-1) }, String(message));
  }
  warn(message: unknown, ...context: unknown[]): void {
    this.logger.warn({ nest: context.at(-1) }, String(message));
  }
  error(message: unknown, ...context: unknown[]): void {
    this.logger.error({ nest: context.at(-1) }, String(message));
  }
}
