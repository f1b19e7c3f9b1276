/** Nest's own messages, in the process's log. */
import type { LoggerService } from '@nestjs/common';
import type { Logger } from '#telemetry';

export class NestLog implements LoggerService {
  constructor(private readonly to: Logger) {}
  log(message: unknown, ...context: unknown[]): void {
    this.to.debug({ nest: context.at(-1) }, String(message));
  }
  warn(message: unknown, ...context: unknown[]): void {
    this.to.warn({ nest: context.at(-1) }, String(message));
  }
  error(message: unknown, ...context: unknown[]): void {
    this.to.error({ nest: context.at(-1) }, String(message));
  }
}
