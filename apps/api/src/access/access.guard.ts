/**
 * The one guard of all routes. It refuses what it does not know: a route without `@Requires` or `@Public`, and a
 * context that is neither an HTTP request nor a socket's message.
 */
import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Forbidden, Unauthenticated } from '#domain';
import { AUTHENTICATE, parseBearerKey, type Authenticate } from './authenticate.ts';
import { assertPermission } from './caller.ts';
import { REQUIREMENT, type Requirement } from './decorators.ts';
import { getCaller, type RequestWithCaller } from './request-caller.ts';

@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(AUTHENTICATE) private readonly authenticate: Authenticate,
  ) {}

  /** @throws Unauthenticated, Forbidden; it never returns false. */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const requirement = this.reflector.get<Requirement | undefined>(REQUIREMENT, context.getHandler());
    const type = context.getType<string>();
    if (type === 'http') {
      if (requirement === 'public') return true;
      const request = context.switchToHttp().getRequest<RequestWithCaller>();
      request.caller = await this.authenticate(parseBearerKey(request));
    }
    // A socket authenticated when it connected. In any other context there is no caller.
    const caller = getCaller(context);
    if (!caller) throw new Unauthenticated(`No API key is known for this ${type} request.`);
    if (requirement === undefined) {
      throw new Forbidden('This route declares no permission, so it is refused.', {
        code: 'permission_denied',
      });
    }
    if (requirement !== 'public') assertPermission(caller, requirement);
    return true;
  }
}
