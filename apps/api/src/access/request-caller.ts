/** Where a caller is kept between the guard and the handler: on the HTTP request, or in the socket's data. */
import type { ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Caller } from './caller.ts';

export type RequestWithCaller = FastifyRequest & { caller?: Caller };

/** A socket authenticates when it connects; its caller stays in its data. */
interface SocketWithCaller {
  readonly data: { readonly caller?: Caller };
}

export function getCaller(context: ExecutionContext): Caller | undefined {
  switch (context.getType<string>()) {
    case 'http':
      return context.switchToHttp().getRequest<RequestWithCaller>().caller;
    case 'ws':
      return context.switchToWs().getClient<SocketWithCaller>().data.caller;
    default:
      return undefined;
  }
}
