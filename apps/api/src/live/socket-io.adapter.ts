/** Socket.IO on the API's port: which origins may connect, and the largest frame. */
import type { IncomingMessage } from 'node:http';
import type { INestApplicationContext } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';

// Nest has its own copy of Socket.IO, so these types come from Nest.
type Options = NonNullable<Parameters<IoAdapter['createIOServer']>[1]>;
type Server = ReturnType<IoAdapter['createIOServer']>;

/** A client only sends ids. A larger frame ends the connection. */
const frameBytes = 64 * 1024;

export class SocketIoAdapter extends IoAdapter {
  /** @param origins whose pages may connect, besides the API's own; `*` for all. */
  constructor(
    app: INestApplicationContext,
    private readonly origins: readonly string[],
  ) {
    super(app);
  }

  override createIOServer(port: number, options?: Options): Server {
    return super.createIOServer(port, {
      ...options,
      serveClient: false,
      maxHttpBufferSize: frameBytes,
      connectTimeout: 10_000,
      cors: { origin: this.origins.includes('*') ? '*' : [...this.origins] },
      // Browsers do not apply CORS to WebSockets: a page of any origin can open one, so the server checks it.
      allowRequest: (request, answer) => answer(null, isAllowed(request, this.origins)),
    } satisfies Partial<Options> as Options);
  }
}

/** A request without `Origin` does not come from a browser. A page must be of the API's or a configured origin. */
function isAllowed({ headers: { origin, host } }: IncomingMessage, origins: readonly string[]): boolean {
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
