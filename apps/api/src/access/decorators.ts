/** What a route declares about access: `@Requires('tasks:write')` or `@Public()`. A route without one is refused. */
import { applyDecorators, createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { Permission } from '@millrace/contracts';
import { getCaller } from './request-caller.ts';

export type Requirement = Permission | 'public';

/** Metadata key of a handler's requirement. */
export const REQUIREMENT = 'millrace:requirement';

/** For the guard, and for Fastify's router, which refuses to register a route without it (`route-access.ts`). */
const declareAccess = (requirement: Requirement) =>
  applyDecorators(SetMetadata(REQUIREMENT, requirement), RouteConfig({ requirement }));

/** The caller needs this permission. Each route names its own: nothing is inherited from the controller's class. */
export const Requires = (permission: Permission) => declareAccess(permission);

/** Anyone may call this route. */
export const Public = () => declareAccess('public');

/** The caller of a route that is not public. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext) =>
  getCaller(context),
);
