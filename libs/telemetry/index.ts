export { createLogger, type Logger } from './logger.ts';
export {
  feedLagSeconds,
  httpRequestSeconds,
  batchLinesTotal,
  renderMetrics,
  queueRunSeconds,
  queueWaitSeconds,
  taskResponseSeconds,
  taskRunSeconds,
  webhookDelaySeconds,
  webhookAttemptsTotal,
} from './metrics.ts';
