/** TCP ports of this machine: finds free ones, and the process that uses one. */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { StartupError } from './startup-error.ts';

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** @returns null when a server can listen on the port, otherwise the system's error code, e.g. EADDRINUSE or EACCES. */
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

/** @returns a random free port of the range: two first starts at the same time rarely choose the same one. */
export async function findFreePort({ from, to }: PortRange): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(from, to + 1);
    if (await isPortFree(port)) return port;
  }
  throw new StartupError(
    `No port between ${from} and ${to} is free for the embedded database: stop a process that uses one.`,
  );
}

/** @returns e.g. `node (pid 123)`, or null where neither ss nor lsof finds the process. */
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

/** @returns a free port that the system chooses. */
export function findSystemPort(host: string): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen({ port: 0, host, exclusive: true }, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => done(port));
    });
  });
}

/** @throws StartupError that names the setting to change and, if known, the process that uses the port. */
export async function assertPortFree(port: number, host: string, setting = 'PORT'): Promise<void> {
  const code = await getListenError(port, host);
  if (code === null) return;
  if (code === 'EADDRINUSE') {
    const holder = await findPortHolder(port);
    throw new StartupError(
      `Port ${port} is in use${holder ? ` by ${holder}` : ''}: stop what uses it, or set ${setting} to another port.`,
    );
  }
  if (code === 'EACCES') {
    throw new StartupError(`This user may not listen on port ${port}: set ${setting} to 1024 or more.`);
  }
  throw new StartupError(
    `Listening on ${host}, port ${port} fails (${code}): set HOST to an address of this machine.`,
  );
}
