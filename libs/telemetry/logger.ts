/** Structured logs: JSON lines on stdout. Each process has one logger; child loggers add request, task and batch ids. */
import { pino, type Logger } from 'pino';

export type { Logger };

/** Properties that are removed from logged objects, down to the third level. */
const redact = {
  paths: ['authorization', 'apiKey', 'api_key', 'password', 'secret', 'token'].flatMap((name) => [
    name,
    `*.${name}`,
    `*.*.${name}`,
  ]),
  censor: '[redacted]',
};

/** @param level pino's level names; `silent` for tests. */
export function createLogger(service: string, level: string): Logger {
  return pino({ level, base: { service }, redact, formatters: { level: (label) => ({ level: label }) } });
}
