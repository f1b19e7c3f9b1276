export { createLogger, type Logger } from './logs.ts';
export {
  feedLag,
  httpRequests,
  linesDone,
  metricsText,
  queueRun,
  queueWait,
  taskAnswer,
  taskRun,
  webhookDelay,
  webhookTries,
} from './metrics.ts';
