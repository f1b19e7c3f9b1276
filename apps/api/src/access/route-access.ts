/** Holds Fastify's router to the access rules: a route that declares none is not registered, and the API does not start. */
import type { FastifyInstance } from 'fastify';
import type { Requirement } from './decorators.ts';

export interface RouteAccess {
  readonly method: string;
  readonly url: string;
  readonly requirement: Requirement;
}

/** @returns the routes that the router has; it is filled while they are registered. */
export function requireDeclaredAccess(fastify: FastifyInstance): readonly RouteAccess[] {
  const routes: RouteAccess[] = [];
  fastify.addHook('onRoute', ({ method, url, config }) => {
    for (const each of [method].flat()) {
      // CORS preflight: it carries no credentials and reads nothing.
      if (each === 'OPTIONS') continue;
      const { requirement } = (config ?? {}) as { requirement?: Requirement };
      if (!requirement) throw new Error(`${each} ${url} declares no access: add @Requires or @Public to it.`);
      routes.push({ method: each, url, requirement });
    }
  });
  return routes;
}
