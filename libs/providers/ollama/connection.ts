/**
 * Calls an Ollama server by its own API (https://github.com/ollama/ollama/blob/main/docs/api.md): JSON, and one JSON
 * object per line for streams. Ollama's client library is not used, because it cannot abort a single request.
 */
import { callUpstream } from '../call-upstream.ts';
import type { ProviderCredential } from '../credential.ts';
import { translateUpstreamError } from '../failures.ts';
import { readJson, readJsonLines } from '../read-stream.ts';
import { fetchUpstream } from '../upstream-fetch.ts';

export interface OllamaOptions {
  /** Without a path, for example `http://127.0.0.1:11434`. */
  readonly url: string;
  /** The token of the default credential, for a server that needs one. */
  readonly key?: string | undefined;
  /** Maximum concurrent calls, in total and per model. */
  readonly concurrency: number;
  readonly getModelConcurrency?: (model: string) => number | undefined;
}

export class Connection {
  constructor(private readonly options: Pick<OllamaOptions, 'url'>) {}

  /** @throws ProviderFailure, or the signal's reason. */
  get<T>(path: string, credential: ProviderCredential, signal: AbortSignal): Promise<T> {
    return this.call(path, { signal }, credential, async (response) => (await readJson(response)) as T);
  }

  /** @throws ProviderFailure, or the signal's reason. */
  post<T>(path: string, body: object, credential: ProviderCredential, signal: AbortSignal): Promise<T> {
    const init = { method: 'POST', body: JSON.stringify({ ...body, stream: false }), signal };
    return this.call(path, init, credential, async (response) => (await readJson(response)) as T);
  }

  /**
   * Passes each line to `onLine` as it arrives. An error may come in place of any line.
   * @throws ProviderFailure, or the signal's reason.
   */
  stream<T>(
    path: string,
    body: object,
    credential: ProviderCredential,
    signal: AbortSignal,
    onLine: (line: T) => void,
  ): Promise<void> {
    const init = { method: 'POST', body: JSON.stringify({ ...body, stream: true }), signal };
    return this.call(path, init, credential, async (response) => {
      for await (const line of readJsonLines(response)) onLine(line as T);
    });
  }

  private async call<T>(
    path: string,
    init: RequestInit & { readonly signal: AbortSignal },
    credential: ProviderCredential,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { url } = this.options;
    const token = await credential.getToken();
    const headers = {
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    };
    return callUpstream(
      init.signal,
      async () => read(await fetchUpstream(url + path, { ...init, headers })),
      (error) =>
        translateUpstreamError(error, {
          provider: 'Ollama',
          secret: token,
          urls: [url],
          advice: {
            token: 'Set OLLAMA_KEY to the key that the server expects.',
            credit: 'Its account has no credit left.',
            model: 'See https://ollama.com/library for the names of models.',
          },
        }),
    );
  }
}
