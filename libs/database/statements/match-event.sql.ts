/**
 * Whether an endpoint has subscribed to an event: by one of its patterns (`*`, `batch.*`, a type's name) and, where it
 * filters, by the metadata of what the event is about.
 */
export const matchesType = (patterns: string, type: string) =>
  `exists (select from unnest(${patterns}) as pattern (text)
     where ${type} like replace(replace(pattern.text, '_', '\\_'), '*', '%'))`;

/** Aliases of a row of webhook_endpoints and of one of events. */
export const wantsEvent = (endpoint: string, event: string) => `
  ${matchesType(`${endpoint}.event_types`, `${event}.type`)}
  and (${endpoint}.metadata_filter is null or ${endpoint}.metadata_filter <@ coalesce(
    (select metadata from batches where batches.id = ${event}.subject),
    (select metadata from tasks where tasks.id = ${event}.subject)))`;
