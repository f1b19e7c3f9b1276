/** The sample of docs/guides/add-a-provider.md. */
import { createDefaultCredential, type ProviderCredential } from '../../libs/providers/credential.ts';
import { invalidOutput } from '../../libs/providers/failures.ts';
import type { Provider } from '../../libs/providers/provider.ts';
import type { Handler } from '../../libs/providers/run.ts';
import { shareTokens } from '../../libs/providers/share-tokens.ts';

interface AcmeOptions {
  readonly url: string;
  readonly token: string;
  readonly concurrency: number;
}

interface EmbedResponse {
  readonly vectors?: readonly (readonly number[])[];
  readonly tokens?: number;
}

class Connection {
  constructor(private readonly options: AcmeOptions) {}

  async post<T>(path: string, body: object, credential: ProviderCredential, signal: AbortSignal): Promise<T> {
    const token = (await credential.getToken()) ?? '';
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body), signal };
    return (await fetch(`${this.options.url}${path}`, init)).json() as Promise<T>;
  }
}

export function createAcme(options: AcmeOptions): Provider {
  const connection = new Connection(options);
  return {
    id: 'acme', // models are acme/…
    pool: 'remote', // whose workers run it
    concurrency: options.concurrency, // calls of one process at once
    defaultCredential: createDefaultCredential('acme', options.token),
    isBilled: () => true, // finished lines are checkpointed and never paid for twice
    handlers: { embeddings: embeddings(connection) },
    checkModel() {}, // throws InvalidInput `model_not_found` for an impossible name
  };
}

const embeddings =
  (connection: Connection): Handler<'embeddings'> =>
  async ({ model, credential, input: { inputs } }, { signal }) => {
    const answer = await connection.post<EmbedResponse>('/embed', { model, inputs }, credential, signal);
    if (!Array.isArray(answer.vectors)) throw invalidOutput('it has no list of vectors');
    return {
      vectors: answer.vectors.map((vector: readonly number[]) => Float32Array.from(vector)),
      tokens: shareTokens(answer.tokens, inputs),
    };
  };
