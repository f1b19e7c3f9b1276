/** The API's process put together: infrastructure, Nest on Fastify, the duties; and the order in which it stops. */
import multipart from '@fastify/multipart';
import cors from '@fastify/cors';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { publicUrl, type AppConfig } from '#config';
import { newId } from '#contracts';
import { AccessStore } from '#database';
import { httpRequests, type Logger } from '#telemetry';
import { firstStart } from './access/first-start.ts';
import { AppModule } from './app.module.ts';
import { startDuties } from './duties/duties.ts';
import { connect } from './infrastructure.ts';
import { SocketsAdapter } from './live/sockets-adapter.ts';
import { beforeRoutes } from './wire/before-routes.ts';
import { NestLog } from './wire/nest-log.ts';

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
  const infrastructure = await connect(config, log);
  const { database } = infrastructure;
  const isFirst = await firstStart(new AccessStore(database), config.MILLRACE_HOME, publicUrl(config));
  if (isFirst)
    log.info({ path: 'credentials.json' }, 'first start: made a workspace, an admin and an API key');

  const options: FastifyServerOptions = {
    bodyLimit,
    genReqId: () => newId('request'),
    forceCloseConnections: 'idle',
    connectionTimeout: idleMs,
    ...beforeRoutes,
  };
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.on(infrastructure),
    new FastifyAdapter(options),
    { logger: new NestLog(log), abortOnError: false },
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
  app.useWebSocketAdapter(new SocketsAdapter(app, config.CORS_ORIGINS));
  await app.listen(config.PORT, config.HOST);
  const duties = startDuties(infrastructure);
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
