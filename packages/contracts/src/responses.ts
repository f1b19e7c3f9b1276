/**
 * The schema of each route's JSON response. The end-to-end tests check every 2xx JSON answer against this table, and that
 * it has exactly the routes of the API's router.
 */
import type { z } from 'zod';
import { batchObject, chunkObject } from './batches.ts';
import { chatCompletion } from './chat.ts';
import { embeddingList } from './embeddings.ts';
import { fileDeleted, fileObject } from './files.ts';
import { liveness, readiness } from './health.ts';
import { kindList } from './kinds.ts';
import { eventPage } from './live.ts';
import { modelList, modelObject } from './models.ts';
import { listSchema, pageSchema } from './pages.ts';
import { taskAttempt, taskObject, taskSummary } from './tasks.ts';
import { uploadObject, uploadPartObject } from './uploads.ts';
import { creditList, usagePage } from './usage.ts';
import { videoDeleted, videoObject } from './videos.ts';
import {
  deliveryObject,
  deliveryWithAttempts,
  redeliveryObject,
  replayObject,
} from './webhook-deliveries.ts';
import {
  webhookEndpointDeleted,
  webhookEndpointObject,
  webhookEndpointTest,
  webhookEventTypeList,
} from './webhook-endpoints.ts';
import { workerPage } from './workers.ts';

/** For a route whose response is never JSON of Millrace's own: stored bytes, NDJSON, an event stream, metrics. */
const notJson = null;

export const responseSchemas: Readonly<Record<string, z.ZodType | null>> = {
  'GET /health/live': liveness,
  'GET /health/ready': readiness,
  'GET /metrics': notJson,

  'POST /v1/files': fileObject,
  'GET /v1/files': pageSchema(fileObject),
  'GET /v1/files/:id': fileObject,
  'GET /v1/files/:id/content': notJson,
  'DELETE /v1/files/:id': fileDeleted,

  'POST /v1/uploads': uploadObject,
  'GET /v1/uploads/:id': uploadObject,
  'POST /v1/uploads/:id/parts': uploadPartObject,
  'POST /v1/uploads/:id/complete': uploadObject,
  'POST /v1/uploads/:id/cancel': uploadObject,

  'GET /v1/objects/*': notJson,

  'POST /v1/batches': batchObject,
  'GET /v1/batches': pageSchema(batchObject),
  'GET /v1/batches/:id': batchObject,
  'POST /v1/batches/:id': batchObject,
  'POST /v1/batches/:id/cancel': batchObject,
  'POST /v1/batches/:id/pause': batchObject,
  'POST /v1/batches/:id/resume': batchObject,
  'POST /v1/batches/:id/retry': batchObject,
  'GET /v1/batches/:id/chunks': pageSchema(chunkObject),
  'GET /v1/batches/:id/results': notJson,
  'GET /v1/batches/:id/events': notJson,

  'POST /v1/tasks': taskObject,
  'GET /v1/tasks': pageSchema(taskSummary),
  'GET /v1/tasks/:id': taskObject,
  'GET /v1/tasks/:id/attempts': listSchema(taskAttempt),
  /** The output itself, whose schema `GET /v1/kinds` shows. */
  'GET /v1/tasks/:id/output': notJson,
  'POST /v1/tasks/:id/retry': taskObject,
  'POST /v1/tasks/:id/cancel': taskObject,
  'GET /v1/tasks/:id/events': notJson,

  'POST /v1/chat/completions': chatCompletion,
  'POST /v1/embeddings': embeddingList,

  'POST /v1/videos': videoObject,
  'GET /v1/videos': pageSchema(videoObject),
  'GET /v1/videos/:id': videoObject,
  'GET /v1/videos/:id/content': notJson,
  'POST /v1/videos/:id/cancel': videoObject,
  'DELETE /v1/videos/:id': videoDeleted,

  'GET /v1/models': modelList,
  'GET /v1/models/*': modelObject,
  'POST /v1/models/load': modelObject,
  'POST /v1/models/unload': modelObject,

  'GET /v1/kinds': kindList,
  'GET /v1/workers': workerPage,
  'GET /v1/events': eventPage,

  'GET /v1/usage': usagePage,
  'GET /v1/usage/credit': creditList,

  'GET /v1/webhook_event_types': webhookEventTypeList,
  'POST /v1/webhook_endpoints': webhookEndpointObject,
  'GET /v1/webhook_endpoints': pageSchema(webhookEndpointObject),
  'GET /v1/webhook_endpoints/:id': webhookEndpointObject,
  'POST /v1/webhook_endpoints/:id': webhookEndpointObject,
  'DELETE /v1/webhook_endpoints/:id': webhookEndpointDeleted,
  'POST /v1/webhook_endpoints/:id/rotate_secret': webhookEndpointObject,
  'POST /v1/webhook_endpoints/:id/test': webhookEndpointTest,
  'GET /v1/webhook_endpoints/:id/deliveries': pageSchema(deliveryObject),
  'GET /v1/webhook_endpoints/:id/deliveries/:delivery': deliveryWithAttempts,
  'POST /v1/webhook_endpoints/:id/deliveries/:delivery/redeliver': deliveryObject,
  'POST /v1/webhook_endpoints/:id/redeliver_failed': redeliveryObject,
  'POST /v1/webhook_endpoints/:id/replay': replayObject,
};
