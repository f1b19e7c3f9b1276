/** Passes the W3C trace context through the queue: from the span that adds a job to the span that runs it. */
import { isSpanContextValid, ROOT_CONTEXT, trace, type Context } from '@opentelemetry/api';

/** @returns the active span's `traceparent`, or undefined when no span is active. */
export function getTraceparent(): string | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  if (!span || !isSpanContextValid(span)) return undefined;
  const flags = span.traceFlags.toString(16).padStart(2, '0');
  return `00-${span.traceId}-${span.spanId}-${flags}`;
}

/** Returns the context in which a job's span is a child of the span that added the job. */
export function toTraceContext(traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? [];
  if (!traceId || !spanId || !flags) return ROOT_CONTEXT;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(span) ? trace.setSpanContext(ROOT_CONTEXT, span) : ROOT_CONTEXT;
}
