export { createLogger, type Logger } from './logger.ts';
export {
  feedLagSeconds as feedLag,
  httpRequestSeconds as httpRequests,
  batchLinesTotal as linesDone,
  renderMetrics as metricsText,
  queueRunSeconds as queueRun,
  queueWaitSeconds as queueWait,
  taskResponseSeconds as taskAnswer,
  taskRunSeconds as taskRun,
  webhookDelaySeconds as webhookDelay,
  webhookAttemptsTotal as webhookTries,
} from './metrics.ts';
