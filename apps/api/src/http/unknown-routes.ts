/** Answers for a path or a method that no route has: 405 with the methods of the path, or the path that was meant. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { findNearestName } from '@millrace/contracts';
import { listEndpointPaths, openAiEndpoints } from '#openai-endpoints';

interface Route {
  readonly method: string;
  readonly url: string;
}

export interface UnknownRoute {
  readonly status: 404 | 405;
  readonly message: string;
  /** Methods of the path, for the `Allow` header. */
  readonly allow: readonly string[];
}

const decoration = 'findUnknownRoute';

type FindUnknownRoute = (method: string, url: string) => UnknownRoute;

/** @param routes filled while routes are registered. */
export function registerUnknownRoutes(fastify: FastifyInstance, routes: readonly Route[]): void {
  fastify.decorate(decoration, (method: string, url: string) => describeUnknownRoute(method, url, routes));
}

export function findUnknownRoute({ server, method, url }: FastifyRequest): UnknownRoute {
  return (server as unknown as Record<typeof decoration, FindUnknownRoute>)[decoration](method, url);
}

/** What does the same as endpoints of other services that Millrace lacks. */
const equivalents: Readonly<Record<string, string>> = {
  '/v1/responses': 'POST /v1/chat/completions',
  '/v1/messages': 'POST /v1/chat/completions',
  '/v1/messages/batches': 'POST /v1/batches',
  '/v1/rerank': 'POST /v1/tasks with kind reranking',
  '/v2/rerank': 'POST /v1/tasks with kind reranking',
  '/rerank': 'POST /v1/tasks with kind reranking',
  '/v1/images/variations': 'POST /v1/tasks with kind image-to-image',
  '/v1/assistants': 'POST /v1/chat/completions',
  '/v1/threads': 'POST /v1/chat/completions',
  '/v1/fine_tuning/jobs': '',
  '/embed': 'POST /v1/embeddings',
  '/api/chat': 'POST /v1/chat/completions',
  '/api/generate': 'POST /v1/tasks with kind text-generation',
  '/api/embed': 'POST /v1/embeddings',
  '/api/embeddings': 'POST /v1/embeddings',
  '/api/tags': 'GET /v1/models',
};

export function describeUnknownRoute(method: string, url: string, routes: readonly Route[]): UnknownRoute {
  const path = url.replace(/[?#].*$/s, '');
  const allow = findMethods(path, routes);
  if (allow.length > 0) {
    const message = `This path does not take ${method}. Use ${allow.join(' or ')}.`;
    return { status: 405, message, allow };
  }
  return { status: 404, message: `No such route.${describeMeantPath(path, routes)}`, allow };
}

function findMethods(path: string, routes: readonly Route[]): string[] {
  const methods = routes.filter(({ url }) => matchesPath(url, path)).map(({ method }) => method);
  return [...new Set(methods)].sort();
}

function matchesPath(pattern: string, path: string): boolean {
  const steps = pattern.split('/');
  const parts = path.split('/');
  const isPrefix = steps.at(-1) === '*';
  if (isPrefix ? parts.length < steps.length : parts.length !== steps.length) return false;
  return steps.every(
    (step, at) => step === '*' || (step.startsWith(':') && parts[at] !== '') || step === parts[at],
  );
}

/** The first that fits: a path written almost right, one of OpenAI's that only batches serve, another service's, a misspelt one. */
function describeMeantPath(path: string, routes: readonly Route[]): string {
  const written = path.replaceAll(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '');
  const isServed = (each: string) => findMethods(each, routes).length > 0;
  const meant = [written, written.replace(/^(\/v1)+/, '/v1'), `/v1${written}`].find(
    (each) => each !== path && isServed(each),
  );
  if (meant) return ` Did you mean ${meant}?`;
  const endpoint = openAiEndpoints.find((each) => each.path === written || each.path === `/v1${written}`);
  if (endpoint) {
    const [kind] = endpoint.kinds;
    return ` POST /v1/tasks with kind ${kind} does the same; batches take ${listEndpointPaths(kind).join(' and ')}.`;
  }
  const equivalent = Object.hasOwn(equivalents, written) ? equivalents[written] : undefined;
  if (equivalent) return ` ${equivalent} does the same.`;
  const known = [...new Set(routes.map(({ url }) => url))].filter((each) => !/[:*]/.test(each));
  const nearest = findNearestName(written, known);
  return nearest ? ` Did you mean ${nearest}?` : ' The API reference lists the routes.';
}
