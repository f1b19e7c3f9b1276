/** Every route wants a key, but for those marked `@Public()`. */
import {
  createParamDecorator,
  Inject,
  Injectable,
  SetMetadata,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '#database';
import { Unauthenticated } from '#domain';
import { AUTHENTICATE, type Authenticate } from './authenticate.ts';

const isPublic = 'millrace:public';
export const Public = () => SetMetadata(isPublic, true);

type AuthenticatedRequest = FastifyRequest & { caller?: Caller };

@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(AUTHENTICATE) private readonly authenticate: Authenticate,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // A socket has shown its key when it connected.
    if (context.getType() !== 'http') return true;
    if (this.reflector.getAllAndOverride(isPublic, [context.getHandler(), context.getClass()])) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    request.caller = await this.authenticate(parseBearerKey(request));
    return true;
  }
}

/** @throws Unauthenticated where the request shows none. */
export function parseBearerKey({ headers }: FastifyRequest): string {
  const [scheme, key] = (headers.authorization ?? '').split(' ', 2);
  if (scheme?.toLowerCase() === 'bearer' && key) return key;
  throw new Unauthenticated('Send your API key as `Authorization: Bearer mr_…`.');
}

/** The caller of an authenticated route. */
export const CurrentCaller = createParamDecorator(
  (_: unknown, context: ExecutionContext) => context.switchToHttp().getRequest<AuthenticatedRequest>().caller,
);
