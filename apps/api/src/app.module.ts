/** The API: one module per feature. */
import { Module } from '@nestjs/common';
import { AccessModule } from './access/access.module.ts';
import { BackgroundModule } from './background/background.module.ts';
import { MaintenanceModule } from './background/maintenance/maintenance.module.ts';
import { BatchesModule } from './batches/batches.module.ts';
import { FilesModule } from './files/files.module.ts';
import { HealthModule } from './health/health.module.ts';
import { HttpModule } from './http/http.module.ts';
import { InfrastructureModule } from './infrastructure/infrastructure.module.ts';
import { KindsModule } from './kinds/kinds.module.ts';
import { LiveModule } from './live/live.module.ts';
import { ModelsModule } from './models/models.module.ts';
import { ObjectsModule } from './objects/objects.module.ts';
import { OpenAiModule } from './openai/openai.module.ts';
import { TasksModule } from './tasks/tasks.module.ts';
import { UploadsModule } from './uploads/uploads.module.ts';
import { UsageModule } from './usage/usage.module.ts';
import { WebhooksModule } from './webhooks/webhooks.module.ts';
import { WorkersModule } from './workers/workers.module.ts';

@Module({
  imports: [
    InfrastructureModule,
    HttpModule,
    AccessModule,
    OpenAiModule,
    TasksModule,
    BatchesModule,
    FilesModule,
    UploadsModule,
    ObjectsModule,
    KindsModule,
    ModelsModule,
    WorkersModule,
    LiveModule,
    WebhooksModule,
    UsageModule,
    HealthModule,
    BackgroundModule,
    MaintenanceModule,
  ],
})
export class AppModule {}
