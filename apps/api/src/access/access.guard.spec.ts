import 'reflect-metadata';
import { Reflector } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/internal';
import { isInstancePermission, permissionNames, permissions, type Permission } from '@millrace/contracts';
import { Forbidden, Unauthenticated } from '#domain';
import { AccessGuard } from './access.guard.ts';
import { toCaller, type Caller } from './caller.ts';
import { Public, Requires } from './decorators.ts';

const owner = { workspaceId: 'ws_1', keyId: 'key_1', userId: null, role: null };
const member = toCaller({ ...owner, operatesInstance: false });
const operator = toCaller({ ...owner, operatesInstance: true });

class Routes {
  @Requires('tasks:write') write(this: void) {}
  @Requires('models:manage') manage(this: void) {}
  @Public() open(this: void) {}
  undeclared(this: void) {}
}
const { write, manage, open, undeclared } = Routes.prototype;

const guard = new AccessGuard(new Reflector(), async (key) => {
  if (key !== 'good') throw new Unauthenticated('not valid');
  return member;
});

function check(type: string, handler: (this: void) => void, first: unknown): Promise<boolean> {
  const context = new ExecutionContextHost([first], Routes, handler);
  context.setType(type);
  return guard.canActivate(context);
}

const request = (authorization?: string) => ({ headers: { authorization } });
const socket = (caller?: Caller) => ({ data: { caller } });

test('an HTTP request is let through with a valid key and the permission', async () => {
  const sent: { headers: object; caller?: Caller } = request('Bearer good');
  expect(await check('http', write, sent)).toBe(true);
  expect(sent.caller).toBe(member);
});

test('an HTTP request without a key, or with a wrong one, is refused', async () => {
  for (const authorization of [undefined, '', 'Basic good', 'Bearer', 'Bearer wrong'])
    await expect(check('http', write, request(authorization))).rejects.toBeInstanceOf(Unauthenticated);
});

test('a public route needs no key', async () => {
  expect(await check('http', open, request())).toBe(true);
});

test('a route that declares nothing is refused, in every context', async () => {
  const refused = { constructor: Forbidden, code: 'permission_denied' };
  await expect(check('http', undeclared, request('Bearer good'))).rejects.toMatchObject(refused);
  await expect(check('ws', undeclared, socket(operator))).rejects.toMatchObject(refused);
});

test('a socket is let through by the caller that it connected as', async () => {
  expect(await check('ws', write, socket(member))).toBe(true);
  await expect(check('ws', write, socket())).rejects.toBeInstanceOf(Unauthenticated);
  await expect(check('ws', manage, socket(member))).rejects.toMatchObject({ code: 'operators_only' });
});

test.each(['rpc', 'graphql', 'HTTP', 'constructor'])('the unknown context %j is refused', async (type) => {
  for (const handler of [write, open, undeclared])
    for (const first of [request('Bearer good'), socket(operator)])
      await expect(check(type, handler, first)).rejects.toBeInstanceOf(Unauthenticated);
});

test('a permission that the caller does not have is refused', async () => {
  await expect(check('http', manage, request('Bearer good'))).rejects.toMatchObject({
    constructor: Forbidden,
    code: 'operators_only',
  });
  const reader = { ...member, scopes: new Set<Permission>(['tasks:read']) };
  await expect(check('ws', write, socket(reader))).rejects.toMatchObject({
    constructor: Forbidden,
    code: 'permission_denied',
  });
});

test('a key has all permissions of its workspace; those of the instance only where it operates it', () => {
  expect([...operator.scopes]).toEqual(permissionNames);
  expect([...member.scopes]).toEqual(permissionNames.filter((name) => !isInstancePermission(name)));
  expect(Object.values(permissions).every(({ title }) => title.length > 0)).toBe(true);
});
