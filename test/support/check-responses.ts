/**
 * Preloaded into the API of the end-to-end tests: checks each JSON response against the schema of its route, and the
 * router's routes against the table of schemas. `startPlatform` fails the suite if the report names a mismatch.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { responseSchemas } from '@millrace/contracts';
import { findMismatch } from './response-mismatch.ts';

const reportPath = process.env['RESPONSE_REPORT']!;
const report = (line: string) => appendFileSync(reportPath, `${line}\n`);

/** Larger bodies take seconds to check. They are lists of vectors. */
const maxCheckedLength = 4 * 2 ** 20;

subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { fastify: FastifyInstance };
  const routes = new Set<string>();
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat())
      if (each !== 'HEAD' && each !== 'OPTIONS') routes.add(`${each} ${url}`);
  });
  fastify.addHook('onReady', (done) => {
    for (const route of routes) if (!(route in responseSchemas)) report(`${route}: no schema`);
    for (const route of Object.keys(responseSchemas))
      if (!routes.has(route)) report(`${route}: no such route`);
    done();
  });
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const contentType = String(reply.getHeader('content-type') ?? '');
    const isJson = /^application\/(problem\+)?json\b/.test(contentType);
    // Stored outputs are sent as streams. They have the schema of their kind, and a signed URL serves them too.
    if (isJson && typeof payload === 'string' && payload.length <= maxCheckedLength) {
      const route = `${request.method} ${request.routeOptions.url ?? request.url}`;
      const mismatch = findMismatch({ route, status: reply.statusCode, contentType, body: payload });
      if (mismatch) report(`${route} ${reply.statusCode}: ${mismatch}`);
    }
    done();
  });
  report('checking responses');
});
