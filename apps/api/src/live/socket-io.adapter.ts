/** Socket.IO on the API's own port: who may connect, and how much one frame may hold. */
import type { IncomingMessage } from 'node:http';
import type { INestApplicationContext } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';

// Nest brings a Socket.IO of its own, so its types are taken from Nest.
type Options = NonNullable<Parameters<IoAdapter['createIOServer']>[1]>;
type Server = ReturnType<IoAdapter['createIOServer']>;

/** What a client has to say is an id; a larger frame ends the connection. */
const frameBytes = 64 * 1024;

export class SocketIoAdapter extends IoAdapter {
  /** @param origins from which pages may connect, beside the API's own; `*` for all. */
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
      // CORS does not hold for WebSockets: a page of any origin may open one, so the server has to look.
      allowRequest: (request, answer) => answer(null, isAllowed(request, this.origins)),
    } satisfies Partial<Options> as Options);
  }
}

/** No Origin: not a browser. Otherwise the page must be ours or of a configured origin. */
function isAllowed({ headers: { origin, host } }: IncomingMessage, origins: readonly string[]): boolean {
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
