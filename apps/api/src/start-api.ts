/** The API's process put together: infrastructure, Nest on Fastify, the duties; and the order in which it stops. */
import multipart from '@fastify/multipart';
import cors from '@fastify/cors';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { publicUrl, type AppConfig } from '#config';
import { newId } from '@millrace/contracts';
import { AccessStore } from '#database';
import { httpRequests, type Logger } from '#telemetry';
import { createFirstWorkspace } from './access/create-first-workspace.ts';
import { AppModule } from './app.module.ts';
import { startBackgroundJobs } from './background/start-background-jobs.ts';
import { connectInfrastructure } from './infrastructure/connect.ts';
import { SocketIoAdapter } from './live/socket-io.adapter.ts';
import { malformedRequestHandlers } from './http/malformed-requests.ts';
import { NestLogger } from './http/nest-logger.ts';

export interface RunningApi {
  readonly url: string;
  stop(): Promise<void>;
}

/** Bodies that are parsed in memory; files stream and have a limit of their own. */
const bodyLimit = 32 * 2 ** 20;

/** A connection on which nothing moves for so long is closed: a body that was promised and never comes holds nothing. */
const idleMs = 120_000;

/** What requests under way have when the API stops. A connection that never carried one would keep it for ever. */
const leaveMs = 5_000;

export async function startApi(config: AppConfig, log: Logger): Promise<RunningApi> {
  const infrastructure = await connectInfrastructure(config, log);
  const { database } = infrastructure;
  const isFirst = await createFirstWorkspace(
    new AccessStore(database),
    config.MILLRACE_HOME,
    publicUrl(config),
  );
  if (isFirst)
    log.info({ path: 'credentials.json' }, 'first start: made a workspace, an admin and an API key');

  const options: FastifyServerOptions = {
    bodyLimit,
    genReqId: () => newId('request'),
    forceCloseConnections: 'idle',
    connectionTimeout: idleMs,
    ...malformedRequestHandlers,
  };
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.on(infrastructure),
    new FastifyAdapter(options),
    { logger: new NestLogger(log), abortOnError: false },
  );
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  await fastify.register(multipart);
  if (config.CORS_ORIGINS.length > 0) {
    await fastify.register(cors, {
      origin: config.CORS_ORIGINS.includes('*') ? '*' : [...config.CORS_ORIGINS],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: [
        'x-request-id',
        'retry-after',
        'content-range',
        'x-should-retry',
        'x-incomplete',
        'x-next-after',
        'x-millrace-task-id',
        'preference-applied',
        'location',
      ],
    });
  }
  observe(fastify, log);
  app.useWebSocketAdapter(new SocketIoAdapter(app, config.CORS_ORIGINS));
  await app.listen(config.PORT, config.HOST);
  const duties = startBackgroundJobs(infrastructure);
  const url = publicUrl(config);
  log.info({ url }, 'api ready');
  return {
    url,
    async stop() {
      await duties.stop();
      const cut = setTimeout(() => fastify.server.closeAllConnections(), leaveMs);
      await app.close();
      clearTimeout(cut);
      await infrastructure.close();
    },
  };
}

/** Every answer carries its request's id, and is counted and logged under it. */
function observe(fastify: FastifyInstance, log: Logger): void {
  fastify.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
  });
  fastify.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    const labels = { method: request.method, route, status: String(reply.statusCode) };
    httpRequests.observe(labels, reply.elapsedTime / 1_000);
    const quiet = /^\/(health|metrics)/.test(route);
    // The id in the path is ours, so it may be logged; what else a client sent may not.
    const { id } = request.params as { id?: string };
    const subject = id && /^(file|batch|task)_[0-9a-f]{32}$/.test(id) ? { subject: id } : {};
    const taskId = reply.getHeader('x-millrace-task-id');
    log[quiet ? 'debug' : 'info'](
      {
        requestId: request.id,
        ...labels,
        ...subject,
        ...(taskId && { taskId }),
        ms: Math.round(reply.elapsedTime),
      },
      'answered',
    );
  });
}
