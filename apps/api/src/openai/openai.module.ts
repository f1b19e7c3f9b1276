/** OpenAI's inference endpoints, from the endpoint table: each request is a task that its caller waits for. */
import { Module } from '@nestjs/common';
import { TaskStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, OBJECTS } from '../infrastructure/tokens.ts';
import { CANCEL_TASK } from '../tasks/cancel-task.ts';
import { SUBMIT_TASK } from '../tasks/submit-task.ts';
import { TasksModule } from '../tasks/tasks.module.ts';
import { MAX_WAIT_SECONDS } from '../tasks/tokens.ts';
import { DirectRequestsController } from './direct-requests.controller.ts';
import { HANDLE_DIRECT_REQUEST, handleDirectRequestWith } from './handle-direct-request.ts';
import { END_VIDEO, endVideoWith } from './videos/end-video.ts';
import { FIND_VIDEO, findVideoWith } from './videos/find-video.ts';
import { VideosController } from './videos/videos.controller.ts';

@Module({
  imports: [InfrastructureModule, TasksModule],
  controllers: [DirectRequestsController, VideosController],
  providers: [
    ...provideStores(TaskStore),
    provideWith(HANDLE_DIRECT_REQUEST, handleDirectRequestWith, {
      submit: SUBMIT_TASK,
      tasks: TaskStore,
      objects: OBJECTS,
      bus: BUS,
      maxWaitSeconds: MAX_WAIT_SECONDS,
    }),
    provideWith(FIND_VIDEO, findVideoWith, { tasks: TaskStore }),
    provideWith(END_VIDEO, endVideoWith, {
      tasks: TaskStore,
      findVideo: FIND_VIDEO,
      cancelTask: CANCEL_TASK,
    }),
  ],
})
export class OpenAiModule {}
