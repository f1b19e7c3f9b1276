/** Structured logs: JSON lines on stdout, one logger a process, children carry request, task and batch ids. */
import { pino, type Logger } from 'pino';

export type { Logger };

/** What must never reach a log line, wherever it stands in a logged object. */
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
