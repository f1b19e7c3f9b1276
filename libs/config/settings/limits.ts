/** Limits of requests and of hosts, how long data is kept, and logs. */
import { hostList, integer, oneOf } from './types.ts';

export const limitSettings = {
  UPLOAD_MAX_BYTES: integer(1, 2 ** 50)
    .default(10 * 2 ** 30)
    .describe('Maximum size of a file in bytes. For a compressed file: after decompression.'),
  UPLOAD_PART_MAX_BYTES: integer(1, 2 ** 40)
    .default(64 * 2 ** 20)
    .describe('Maximum size of one part of an upload in bytes.'),
  BATCH_MAX_LINES: integer(1, 2 ** 31)
    .default(10_000_000)
    .describe('Maximum lines of a batch.'),
  WORKSPACE_MAX_PENDING_LINES: integer(1, 2 ** 50)
    .default(50_000_000)
    .describe('Maximum pending batch lines of a workspace. A batch that exceeds it is refused with 429.'),
  WORKSPACE_MAX_PENDING_TASKS: integer(1, 2 ** 31)
    .default(10_000)
    .describe(
      'Maximum pending direct requests of a workspace. A request that exceeds it is refused with 429.',
    ),
  DIRECT_WAIT_SECONDS: integer(1, 3_600)
    .default(300)
    .describe('Seconds that a direct request waits for its answer. After that, its task continues to run.'),
  LINE_MAX_BYTES: integer(1_024, 2 ** 28)
    .default(16 * 2 ** 20)
    .describe('Maximum size of one batch line in bytes.'),
  MILLRACE_INPUT_ALLOW_HOSTS: hostList('images.test').describe(
    'Hosts from which inputs may be fetched although they are not public or not https, separated by commas.',
  ),
  MILLRACE_WEBHOOK_ALLOW_HOSTS: hostList('receiver.test').describe(
    'Hosts to which webhooks may be sent although they are not public or not https, separated by commas.',
  ),
};

export const retentionSettings = {
  GARBAGE_AGE_HOURS: integer(1, 8_760)
    .default(24)
    .describe('Age in hours at which an unreferenced object is deleted.'),
  WEBHOOK_LOG_DAYS: integer(1, 3_650)
    .default(30)
    .describe('Days for which a finished webhook delivery and its attempts are kept.'),
  FEED_DAYS: integer(1, 3_650)
    .default(90)
    .describe('Days for which events are kept and can be replayed. A delivery is deleted with its event.'),
  ATTEMPT_DAYS: integer(1, 3_650)
    .default(90)
    .describe('Days for which each attempt of a task is kept. Its usage stays in the totals.'),
};

export const logSettings = {
  LOG_LEVEL: oneOf(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Minimum level that is logged.'),
  LOG_FORMAT: oneOf(['pretty', 'json'])
    .default('pretty')
    .describe('How `npm start` prints the logs of its processes. The processes themselves always log JSON.'),
};
