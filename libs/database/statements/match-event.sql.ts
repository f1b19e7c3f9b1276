/**
 * Whether a webhook endpoint subscribes to an event: by one of its patterns (`*`, `batch.*`, the name of a type) and, if
 * it has a metadata filter, by the metadata of the event's batch or task.
 */
export const matchesType = (patterns: string, type: string) =>
  `exists (select from unnest(${patterns}) as pattern (text)
     where ${type} like replace(replace(pattern.text, '_', '\\_'), '*', '%'))`;

/** @param endpoint alias of a row of webhook_endpoints. @param event alias of a row of events. */
export const matchesEvent = (endpoint: string, event: string) => `
  ${matchesType(`${endpoint}.event_types`, `${event}.type`)}
  and (${endpoint}.metadata_filter is null or ${endpoint}.metadata_filter <@ coalesce(
    (select metadata from batches where batches.id = ${event}.subject),
    (select metadata from tasks where tasks.id = ${event}.subject)))`;
