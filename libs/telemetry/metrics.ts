/** Metrics of a process, in Prometheus's text format. Labels have small fixed sets of values and never contain ids. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

const registry = new Registry();
collectDefaultMetrics({ register: registry, prefix: 'millrace_' });

const registers = [registry];

export const httpRequestSeconds = new Histogram({
  name: 'millrace_http_request_seconds',
  help: 'Time to answer an HTTP request.',
  labelNames: ['method', 'route', 'status'] as const,
  buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  registers,
});

export const queueWaitSeconds = new Histogram({
  name: 'millrace_queue_wait_seconds',
  help: 'Time from when a job was ready to run until it started.',
  labelNames: ['queue'] as const,
  buckets: [0.005, 0.02, 0.1, 0.5, 1, 5, 30, 120, 600],
  registers,
});

export const queueRunSeconds = new Histogram({
  name: 'millrace_queue_run_seconds',
  help: 'Run time of a job.',
  labelNames: ['queue', 'outcome'] as const,
  buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 15, 60, 300],
  registers,
});

export const batchLinesTotal = new Counter({
  name: 'millrace_batch_lines_total',
  help: 'Batch lines whose result was committed.',
  labelNames: ['outcome'] as const,
  registers,
});

export const taskRunSeconds = new Histogram({
  name: 'millrace_task_run_seconds',
  help: 'Time from the claim of a direct request to its end, including the wait for the call limiter.',
  labelNames: ['kind', 'outcome'] as const,
  buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600],
  registers,
});

export const taskResponseSeconds = new Histogram({
  name: 'millrace_task_response_seconds',
  help: 'Time from a direct request to its response, for callers that wait for it.',
  labelNames: ['kind', 'outcome'] as const,
  buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600],
  registers,
});

export const feedLagSeconds = new Gauge({
  name: 'millrace_feed_lag_seconds',
  help: 'Age of the oldest event that is not published yet, on the process that runs the relay.',
  registers,
});

export const webhookAttemptsTotal = new Counter({
  name: 'millrace_webhook_attempts_total',
  help: 'Attempts to deliver an event to a webhook endpoint.',
  labelNames: ['outcome'] as const,
  registers,
});

export const webhookDelaySeconds = new Histogram({
  name: 'millrace_webhook_delay_seconds',
  help: 'Time from an event to the end of its first delivery attempt.',
  buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
  registers,
});

/** Returns all metrics, as `/metrics` serves them. */
export async function renderMetrics(): Promise<{ contentType: string; text: string }> {
  return { contentType: registry.contentType, text: await registry.metrics() };
}
