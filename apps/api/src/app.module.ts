/** The API put together: controllers and sockets at the edge, stores and infrastructure behind them. */
import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import {
  AccessStore,
  BatchLifeStore,
  BatchStore,
  ChunkStore,
  Database,
  DeliveryLogStore,
  EndpointStore,
  FeedStore,
  FileStore,
  ModelWishStore,
  PlanStore,
  ResultStore,
  TaskStore,
  UploadStore,
  UsageStore,
  WorkerStore,
} from '#database';
import { idSchema, type LiveState } from '@millrace/contracts';
import { NotFound } from '#domain';
import { allowedHosts, createOutbound } from '#outbound';
import type { ObjectStore } from '#storage';
import { AccessGuard } from './access/access.guard.ts';
import { AUTHENTICATE, authenticateWith } from './access/authenticate.ts';
import { toBatchObject } from './batches/batch-object.ts';
import { BatchLifecycleController } from './batches/batch-lifecycle.controller.ts';
import { BatchesController } from './batches/batches.controller.ts';
import { RetryBatchController } from './batches/retry-batch.controller.ts';
import { FilesController } from './files/files.controller.ts';
import { HealthController } from './health/health.controller.ts';
import type { Infrastructure } from './infrastructure/connect.ts';
import { ObjectsController } from './objects/objects.controller.ts';
import { LiveModule } from './live/live.module.ts';
import { READ_SUBJECT, type ReadSubject } from './live/read-subject.ts';
import { READ_WORKERS, type ReadWorkers } from './live/worker-rooms.ts';
import { ChatCompletionsController } from './openai/chat-completions.controller.ts';
import { KindsController } from './kinds/kinds.controller.ts';
import { VideosController } from './openai/videos/videos.controller.ts';
import { EmbeddingsController } from './openai/embeddings.controller.ts';
import { SUBMIT_TASK, submitTaskWith, type SubmitTask } from './tasks/submit-task.ts';
import { toTaskObject } from './tasks/task-object.ts';
import { TaskWaiters } from './tasks/task-waiters.ts';
import { TasksController } from './tasks/tasks.controller.ts';
import { BUS, CONFIG, LOGGER, OBJECTS, PROVIDERS, QUEUES, WEBHOOK_TOOLS } from './infrastructure/tokens.ts';
import { UsageController } from './usage/usage.controller.ts';
import { UploadsController } from './uploads/uploads.controller.ts';
import { WebhookDeliveriesController } from './webhooks/webhook-deliveries.controller.ts';
import { WebhookEndpointsController } from './webhooks/webhook-endpoints.controller.ts';
import { ModelsController } from './models/models.controller.ts';
import { toWorkerPage, workerListWindowS } from './workers/worker-object.ts';
import { WorkersController } from './workers/workers.controller.ts';
import { ErrorFilter } from './http/error.filter.ts';
import { createSchemaPipe } from './http/schema.pipe.ts';

@Module({})
export class AppModule {
  static on(infrastructure: Infrastructure): DynamicModule {
    const foundation = foundationOf(infrastructure);
    return {
      module: AppModule,
      imports: [LiveModule.on(foundation)],
      controllers: [
        BatchesController,
        BatchLifecycleController,
        RetryBatchController,
        WebhookDeliveriesController,
        WebhookEndpointsController,
        FilesController,
        HealthController,
        ObjectsController,
        ChatCompletionsController,
        EmbeddingsController,
        KindsController,
        VideosController,
        TasksController,
        WorkersController,
        ModelsController,
        UploadsController,
        UsageController,
      ],
      providers: [
        ...foundation,
        TaskWaiters,
        {
          provide: SUBMIT_TASK,
          useFactory: submitWith(infrastructure),
          inject: [TaskStore, TaskWaiters, FileStore],
        },
        { provide: APP_GUARD, useClass: AccessGuard },
        { provide: APP_FILTER, useClass: ErrorFilter },
        { provide: APP_PIPE, useFactory: createSchemaPipe },
      ],
    };
  }
}

/** What both edges stand on. Stores hold no state, so an instance for each of them is no second truth. */
function foundationOf(infrastructure: Infrastructure): Provider[] {
  const { config, log, database, queues, bus, objects, providers, webhookTools } = infrastructure;
  const stores = [
    AccessStore,
    BatchLifeStore,
    BatchStore,
    ChunkStore,
    DeliveryLogStore,
    EndpointStore,
    FeedStore,
    FileStore,
    ModelWishStore,
    PlanStore,
    ResultStore,
    TaskStore,
    UploadStore,
    UsageStore,
    WorkerStore,
  ];
  return [
    { provide: CONFIG, useValue: config },
    { provide: LOGGER, useValue: log },
    { provide: Database, useValue: database },
    { provide: QUEUES, useValue: queues },
    { provide: BUS, useValue: bus },
    { provide: OBJECTS, useValue: objects },
    { provide: PROVIDERS, useValue: providers },
    { provide: WEBHOOK_TOOLS, useValue: webhookTools },
    ...stores.map((Store) => ({ provide: Store, useFactory: () => new Store(database) })),
    { provide: AUTHENTICATE, useFactory: authenticateWith, inject: [AccessStore] },
    { provide: READ_SUBJECT, useFactory: readSubjectOf(objects), inject: [BatchStore, TaskStore] },
    { provide: READ_WORKERS, useFactory: readWorkersOf, inject: [WorkerStore] },
  ];
}

const readSubjectOf =
  (objects: ObjectStore) =>
  (batches: BatchStore, tasks: TaskStore): ReadSubject =>
  async (workspaceId, id) => {
    try {
      if (idSchema('task').safeParse(id).success) return await taskState(workspaceId, id, tasks, objects);
      const found = await batches.get(workspaceId, id);
      const { sequence } = found.batch;
      return {
        object: 'state',
        version: 1,
        type: 'batch',
        subject: id,
        sequence,
        data: toBatchObject(found),
      };
    } catch (error) {
      if (error instanceof NotFound) return null;
      throw error;
    }
  };

async function taskState(
  workspaceId: string,
  id: string,
  tasks: TaskStore,
  objects: ObjectStore,
): Promise<LiveState> {
  const task = await tasks.get(workspaceId, id);
  const place = task.status === 'queued' ? await tasks.findQueuePosition(id) : null;
  const data = await toTaskObject(task, objects, place);
  return { object: 'state', version: 1, type: 'task', subject: id, sequence: task.sequence, data };
}

const readWorkersOf =
  (workers: WorkerStore): ReadWorkers =>
  async () => {
    const seen = await workers.getSnapshot(workerListWindowS);
    const [type, sequence] = ['workers' as const, seen.takenAt.getTime()];
    return (viewer) => ({
      object: 'state',
      version: 1,
      type,
      subject: type,
      sequence,
      data: toWorkerPage(seen, viewer),
    });
  };

function submitWith({ config, queues, objects, providers, log }: Infrastructure) {
  const maxPendingTasks = config.WORKSPACE_MAX_PENDING_TASKS;
  const allowHosts = allowedHosts(config.MILLRACE_INPUT_ALLOW_HOSTS);
  const outbound = createOutbound({ schemes: ['https'], ports: [443], allowHosts });
  return (tasks: TaskStore, waiters: TaskWaiters, files: FileStore): SubmitTask =>
    submitTaskWith({ tasks, waiters, files, outbound, queues, objects, providers, maxPendingTasks, log });
}
