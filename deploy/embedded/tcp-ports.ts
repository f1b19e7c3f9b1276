/** TCP ports of this machine: which are free, and who holds one that is not. */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { StartupError } from './startup-error.ts';

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** null: it can be listened on; else the system's code for why not, e.g. EADDRINUSE or EACCES. */
export async function getListenError(port: number, host: string): Promise<string | null> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => done(null)));
  });
}

export async function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return (await getListenError(port, host)) === null;
}

/** Random within the range, so that two first starts at once rarely meet. */
export async function findFreePort({ from, to }: PortRange): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(from, to + 1);
    if (await isPortFree(port)) return port;
  }
  throw new StartupError(`No port between ${from} and ${to} is free for the embedded database: free one.`);
}

/** E.g. `node (pid 123)`, where the system has a tool that tells; null where not. */
export async function findPortHolder(port: number): Promise<string | null> {
  const ss = await runCommand('ss', ['-Hltnp', `sport = :${port}`]);
  const found = /\(\("([^"]+)",pid=(\d+)/.exec(ss);
  if (found) return `${found[1]} (pid ${found[2]})`;
  const lsof = await runCommand('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc']);
  const [pid, name] = [/^p(\d+)/m.exec(lsof), /^c(.+)/m.exec(lsof)];
  return pid && name ? `${name[1]} (pid ${pid[1]})` : null;
}

function runCommand(command: string, args: string[]): Promise<string> {
  return new Promise((done) => execFile(command, args, { timeout: 3_000 }, (_error, out) => done(out ?? '')));
}

/** One that the system says is free. */
export async function findEphemeralPort(host: string): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen({ port: 0, host, exclusive: true }, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => done(port));
    });
  });
}

/** @throws CannotStart that names the setting, and who holds the port where that can be told. */
export async function assertPortFree(port: number, host: string): Promise<void> {
  const code = await getListenError(port, host);
  if (code === null) return;
  if (code === 'EADDRINUSE') {
    const holder = await findPortHolder(port);
    throw new StartupError(
      `Port ${port} is in use${holder ? ` by ${holder}` : ''}: stop what uses it, or set PORT to another port.`,
    );
  }
  if (code === 'EACCES') {
    throw new StartupError(`Port ${port} may not be listened on by this user: set PORT to 1024 or more.`);
  }
  throw new StartupError(
    `Nothing can listen on ${host}, port ${port} (${code}): set HOST to an address of this machine.`,
  );
}
