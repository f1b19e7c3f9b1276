/** Tasks: submit, wait, read, retry, cancel; their reconcile steps, and the deletion of expired attempts. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { FileStore, RetentionStore, TaskQueueStore, TaskStore } from '#database';
import { createOutbound, parseAllowedHosts } from '#outbound';
import { BackgroundJobs, type ReconcileStep } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, LOGGER, OBJECTS, PROVIDERS, QUEUES, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import { CANCEL_TASK, cancelTaskWith } from './cancel-task.ts';
import { CREATE_TASK, createTaskWith } from './create-task.ts';
import { deleteExpiredAttempts } from './delete-expired-attempts.ts';
import { FIND_TASK_OUTPUT, findTaskOutputWith } from './find-task-output.ts';
import { READ_TASK, readTaskWith } from './read-task.ts';
import { ReadTasksController } from './read-tasks.controller.ts';
import { RECONCILE_TASKS, reconcileTasksWith } from './reconcile-tasks.ts';
import { RETRY_TASK, retryTaskWith } from './retry-task.ts';
import { SUBMIT_TASK, submitTaskWith } from './submit-task.ts';
import { TaskWaiters } from './task-waiters.ts';
import { TasksController } from './tasks.controller.ts';
import { MAX_WAIT_SECONDS } from './tokens.ts';

/** Pending tasks that a workspace may have. */
const MAX_PENDING_TASKS = Symbol('max pending tasks');
/** Days for which the attempts of a task are kept. */
const ATTEMPT_DAYS = Symbol('attempt days');
/** Checks the URLs of media that requests name. */
const MEDIA_OUTBOUND = Symbol('outbound for media');

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [TasksController, ReadTasksController],
  providers: [
    ...provideStores(FileStore, RetentionStore, TaskQueueStore, TaskStore),
    TaskWaiters,
    provideOptions(MAX_PENDING_TASKS, (config) => config.WORKSPACE_MAX_PENDING_TASKS),
    provideOptions(MAX_WAIT_SECONDS, (config) => config.DIRECT_WAIT_SECONDS),
    provideOptions(ATTEMPT_DAYS, (config) => config.ATTEMPT_DAYS),
    provideOptions(MEDIA_OUTBOUND, (config) =>
      createOutbound({
        schemes: ['https'],
        ports: [443],
        allowHosts: parseAllowedHosts(config.MILLRACE_INPUT_ALLOW_HOSTS),
      }),
    ),
    provideWith(SUBMIT_TASK, submitTaskWith, {
      tasks: TaskStore,
      files: FileStore,
      waiters: TaskWaiters,
      outbound: MEDIA_OUTBOUND,
      queues: QUEUES,
      objects: OBJECTS,
      providers: PROVIDERS,
      maxPendingTasks: MAX_PENDING_TASKS,
      log: LOGGER,
    }),
    provideWith(CREATE_TASK, createTaskWith, { submit: SUBMIT_TASK, webhookTools: WEBHOOK_TOOLS }),
    provideWith(RETRY_TASK, retryTaskWith, {
      tasks: TaskStore,
      objects: OBJECTS,
      submit: SUBMIT_TASK,
      webhookTools: WEBHOOK_TOOLS,
    }),
    provideWith(CANCEL_TASK, cancelTaskWith, { tasks: TaskStore, bus: BUS }),
    provideWith(READ_TASK, readTaskWith, { tasks: TaskStore, objects: OBJECTS }),
    provideWith(FIND_TASK_OUTPUT, findTaskOutputWith, { tasks: TaskStore, objects: OBJECTS }),
    provideWith(RECONCILE_TASKS, reconcileTasksWith, {
      tasks: TaskQueueStore,
      queues: QUEUES,
      bus: BUS,
      log: LOGGER,
    }),
  ],
  exports: [SUBMIT_TASK, CANCEL_TASK, READ_TASK, MAX_WAIT_SECONDS, TaskStore],
})
export class TasksModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(RECONCILE_TASKS) private readonly reconcileSteps: readonly ReconcileStep[],
    @Inject(RetentionStore) private readonly retention: RetentionStore,
    @Inject(ATTEMPT_DAYS) private readonly attemptDays: number,
  ) {}

  onModuleInit(): void {
    const { jobs, reconcileSteps, retention, attemptDays } = this;
    jobs.addReconcileSteps(...reconcileSteps);
    jobs.addRetentionStep({
      rows: 'attempts',
      run: () => deleteExpiredAttempts(retention, attemptDays),
    });
  }
}
