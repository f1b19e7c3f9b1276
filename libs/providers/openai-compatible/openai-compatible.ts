/**
 * Servers with OpenAI's API: OpenAI, vLLM, SGLang, TGI, TEI, llama.cpp, LM Studio. Each is a provider under its own
 * name. A server answers with an error for a kind that it does not support.
 */
import { InvalidInput } from '#domain';
import { createDefaultCredential } from '../credential.ts';
import { cacheImageSupport, findImageSupport, type ListedModel } from '../image-support.ts';
import type { Provider } from '../provider.ts';
import { automaticSpeechRecognition, textToSpeech } from './audio.ts';
import { chatCompletion, textGeneration } from './chat.ts';
import { Connection, type OpenAICompatibleOptions } from './connection.ts';
import { embeddings } from './embeddings.ts';
import { imageToImage, inpainting, textToImage } from './images.ts';
import { moderation, reranking } from './moderation-and-reranking.ts';
import { cancelVideo, imageToVideo, textToVideo } from './videos.ts';

export function createOpenAICompatible(options: OpenAICompatibleOptions): Provider {
  const connection = new Connection(options);
  return {
    id: options.name,
    pool: 'remote',
    isBilled: () => true,
    defaultCredential: createDefaultCredential(options.name, options.key),
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
      const { data } = await connection.call(credential, signal, (client) => client.models.list({ signal }));
      return findImageSupport(data as ListedModel[], model);
    }),
    cancelRun: (access, runId) => cancelVideo(connection, access, runId),
    checkModel(model) {
      if (model !== '') return;
      throw new InvalidInput(`Write the model's name after the slash, as '${options.name}' knows it.`, {
        code: 'model_not_found',
        param: 'model',
      });
    },
  };
}
