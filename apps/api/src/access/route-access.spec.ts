import Fastify from 'fastify';
import { requireDeclaredAccess } from './route-access.ts';

const handler = async () => ({});

test('a route that declares its access is registered, its HEAD too', () => {
  const fastify = Fastify();
  const routes = requireDeclaredAccess(fastify);
  fastify.get('/a', { config: { requirement: 'tasks:read' } as object }, handler);
  expect(routes).toEqual([
    { method: 'GET', url: '/a', requirement: 'tasks:read' },
    { method: 'HEAD', url: '/a', requirement: 'tasks:read' },
  ]);
});

test('a route that declares nothing is not registered', () => {
  const fastify = Fastify();
  requireDeclaredAccess(fastify);
  expect(() => fastify.post('/b', handler)).toThrow('POST /b declares no access');
});
