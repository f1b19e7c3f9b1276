/**
 * Servers with OpenAI's API: OpenAI, vLLM, SGLang, TGI, TEI, llama.cpp, LM Studio. Each is a provider under its own
 * name. A server answers with an error for a kind that it does not support.
 */
import { InvalidInput } from '#domain';
import { toObjects } from '../completion-choices.ts';
import { createDefaultCredential, type ProviderCredential } from '../credential.ts';
import { cacheImageSupport, findImageSupport, type ListedModel } from '../image-support.ts';
import type { Provider } from '../provider.ts';
import { withOptionChecks } from '../with-option-checks.ts';
import { openAIOptionTable } from './option-table.ts';
import { automaticSpeechRecognition, textToSpeech } from './audio.ts';
import { chatCompletion, textGeneration } from './chat.ts';
import { Connection, type OpenAICompatibleOptions } from './connection.ts';
import { embeddings } from './embeddings.ts';
import { imageToImage, inpainting, textToImage } from './images.ts';
import { moderation, reranking } from './moderation-and-reranking.ts';
import { cancelVideo, imageToVideo, textToVideo } from './videos.ts';

export function createOpenAICompatible(options: OpenAICompatibleOptions): Provider {
  const connection = new Connection(options);
  const defaultCredential = createDefaultCredential(options.name, options.key);
  const provider: Provider = {
    id: options.name,
    pool: 'remote',
    isBilled: () => true,
    defaultCredential,
    concurrency: options.concurrency,
    getModelConcurrency: options.getModelConcurrency,
    handlers: {
      'automatic-speech-recognition': automaticSpeechRecognition(connection),
      'chat-completion': chatCompletion(connection),
      embeddings: embeddings(connection),
      'image-to-image': imageToImage(connection),
      'image-to-video': imageToVideo(connection),
      inpainting: inpainting(connection),
      moderation: moderation(connection),
      reranking: reranking(connection),
      'text-generation': textGeneration(connection),
      'text-to-image': textToImage(connection),
      'text-to-speech': textToSpeech(connection),
      'text-to-video': textToVideo(connection),
    },
    acceptsImages: cacheImageSupport(async ({ model, credential }, signal) => {
      return findImageSupport(await listModels(connection, credential, signal), model);
    }),
    async listModels() {
      const signal = AbortSignal.timeout(listTimeoutMs);
      const listed = await listModels(connection, defaultCredential, signal).catch(() => []);
      return listed.map(({ id }) => id);
    },
    cancelRun: (access, runId) => cancelVideo(connection, access, runId),
    checkModel(model) {
      if (model !== '') return;
      throw new InvalidInput(`Write the model's name after the slash, as '${options.name}' knows it.`, {
        code: 'model_not_found',
        param: 'model',
      });
    },
  };
  return withOptionChecks(provider, openAIOptionTable);
}

/** The list of models waits for it. */
const listTimeoutMs = 2_000;
const maxNameLength = 256;

/** Most servers list their models under `data`; some under `models`, or as a bare list. */
async function listModels(
  connection: Connection,
  credential: ProviderCredential,
  signal: AbortSignal,
): Promise<ListedModel[]> {
  const answer = await connection.callForJson({ model: '', credential }, signal, (client) =>
    client.get('/models', { signal }),
  );
  const listed = toObjects(answer['data'] ?? answer['models'] ?? answer.list);
  return listed.flatMap((model) => {
    const id = [model['id'], model['name'], model['model']].find((name) => typeof name === 'string');
    return typeof id === 'string' && id !== '' && id.length <= maxNameLength ? [{ ...model, id }] : [];
  });
}
