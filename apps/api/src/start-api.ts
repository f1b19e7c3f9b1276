/** Builds the API's process: Nest on Fastify, then the background jobs; and stops them in the opposite order. */
import cors from '@fastify/cors';
import multipart from '@fastify/multipart';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { getPublicUrl, type AppConfig } from '#config';
import { createId } from '@millrace/contracts';
import type { Logger } from '#telemetry';
import { requireDeclaredAccess, type RouteAccess } from './access/route-access.ts';
import { AppModule } from './app.module.ts';
import { BackgroundJobs } from './background/background-jobs.ts';
import { malformedRequestHandlers } from './http/malformed-requests.ts';
import { registerBodyParsers } from './http/parse-body.ts';
import { registerUnknownRoutes } from './http/unknown-routes.ts';
import { NestLogger } from './http/nest-logger.ts';
import { observeRequests } from './http/observe-requests.ts';
import { CONFIG, LOGGER } from './infrastructure/tokens.ts';
import { SocketIoAdapter } from './live/socket-io.adapter.ts';

export interface RunningApi {
  readonly url: string;
  readonly log: Logger;
  stop(): Promise<void>;
}

/** Most bytes of a body that is parsed in memory. Uploads are streamed and have a limit of their own. */
const bodyLimit = 32 * 2 ** 20;

/** A connection without traffic is closed after this time, so that a client that stops sending holds no memory. */
const idleTimeoutMs = 120_000;

/** How long running requests may take to end when the API stops. Then their connections are closed. */
const drainMs = 5_000;

const exposedHeaders = [
  'x-request-id',
  'retry-after',
  'content-range',
  'x-should-retry',
  'x-incomplete',
  'x-next-after',
  'x-millrace-task-id',
  'preference-applied',
  'location',
];

export async function startApi(): Promise<RunningApi> {
  const { app } = await createApp();
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  const config = app.get<AppConfig>(CONFIG);
  const log = app.get<Logger>(LOGGER);
  const jobs = app.get(BackgroundJobs);
  await app.listen(config.PORT, config.HOST);
  jobs.start();
  const url = getPublicUrl(config);
  log.info({ url }, 'api ready');
  return {
    url,
    log,
    async stop() {
      await jobs.stop();
      const timer = setTimeout(() => fastify.server.closeAllConnections(), drainMs);
      await app.close();
      clearTimeout(timer);
    },
  };
}

export interface CreatedApp {
  readonly app: NestFastifyApplication;
  /** Every route of the router; complete once the application is initialized. */
  readonly routes: readonly RouteAccess[];
}

/** The application with its resources connected; it does not listen yet. */
export async function createApp(): Promise<CreatedApp> {
  const options: FastifyServerOptions = {
    bodyLimit,
    genReqId: () => createId('request'),
    forceCloseConnections: 'idle',
    connectionTimeout: idleTimeoutMs,
    ...malformedRequestHandlers,
  };
  const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(options), {
    logger: false,
    abortOnError: false,
    bodyParser: false,
  });
  const config = app.get<AppConfig>(CONFIG);
  const log = app.get<Logger>(LOGGER);
  app.useLogger(new NestLogger(log));
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  const routes = requireDeclaredAccess(fastify);
  registerBodyParsers(fastify, bodyLimit);
  await fastify.register(multipart);
  registerUnknownRoutes(fastify, routes);
  const { CORS_ORIGINS: origins } = config;
  if (origins.length > 0) {
    await fastify.register(cors, {
      origin: origins.includes('*') ? '*' : [...origins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders,
    });
  }
  observeRequests(fastify, log);
  app.useWebSocketAdapter(new SocketIoAdapter(app, origins));
  return { app, routes };
}
