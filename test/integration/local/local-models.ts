/** A folder of models for a test, and the local provider on it. */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSilentRun, type Provider } from '#providers';
import { createTransformers } from '../../../libs/providers/transformers/transformers.ts';
import type { LocalOptions } from '../../../libs/providers/transformers/options.ts';

export const bundledModels = fileURLToPath(new URL('../../../models', import.meta.url));
export const crashingThread = new URL('./crashing-thread-process.ts', import.meta.url);
export const demoBytes = 863_119;

export interface LocalModels {
  readonly folder: string;
  /** Copies the demo model. @returns the copy's folder. */
  copy(name: string): Promise<string>;
  provider(options?: Partial<LocalOptions>, threadUrl?: URL): Provider;
  close(): Promise<void>;
}

export async function createLocalModels(): Promise<LocalModels> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-models-'));
  const providers: Provider[] = [];
  return {
    folder,
    async copy(name) {
      const to = join(folder, name);
      await mkdir(dirname(to), { recursive: true });
      await cp(join(bundledModels, 'demo-embedder'), to, { recursive: true });
      return to;
    },
    provider(options, threadUrl) {
      const provider = createTransformers(
        {
          folder,
          isFolderConfigured: true,
          hub: { url: 'http://127.0.0.1:9' },
          slots: 1,
          device: 'cpu',
          dtype: 'auto',
          cpuThreads: 1,
          memoryBytes: 2 ** 30,
          evict: true,
          ...options,
        },
        threadUrl,
      );
      providers.push(provider);
      return provider;
    },
    async close() {
      for (const { models } of providers) await models!.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const neverAborted = new AbortController().signal;

export const embed = (
  provider: Provider,
  model: string,
  inputs: (string | number[])[],
  over: object = {},
  signal = neverAborted,
) =>
  provider.handlers.embeddings!(
    { model, credential: provider.defaultCredential, input: { inputs, ...over } },
    createSilentRun(signal),
  );

export interface FakeHub {
  readonly url: string;
  readonly requests: { readonly path: string; readonly authorization?: string }[];
  /** Needed for files of `org/gated`; those of `org/open` need none. */
  readonly token: string;
  /** Path of a file whose download stalls after its first bytes. */
  stallAt: string | null;
  close(): Promise<void>;
}

/** Replies as huggingface.co does: 401 both for a model that does not exist and for one that needs a token. */
export async function startFakeHub(): Promise<FakeHub> {
  const server: Server = createServer((request, response) => {
    const { url = '', headers } = request;
    hub.requests.push({ path: url, authorization: headers.authorization });
    const [, repo, path = ''] = /^\/(org\/\w+)\/resolve\/main\/(.*)$/.exec(url) ?? [];
    const file = join(bundledModels, 'demo-embedder', path);
    if (repo === 'org/broken') response.writeHead(500).end();
    else if (
      repo !== 'org/open' &&
      !(repo === 'org/gated' && headers.authorization === `Bearer ${hub.token}`)
    )
      response.writeHead(repo === 'org/terms' ? 403 : 401, { 'x-error-code': 'RepoNotFound' }).end();
    else if (!existsSync(file)) response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    else if (path === hub.stallAt) response.write('{"');
    else createReadStream(file).pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const hub: FakeHub = {
    url: `http://127.0.0.1:${port}`,
    requests: [],
    token: 'hf_secret_token_of_the_test',
    stallAt: null,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return hub;
}
