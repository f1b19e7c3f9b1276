/**
 * Servers that speak OpenAI's API: OpenAI, vLLM, SGLang, TGI, TEI, llama.cpp, LM Studio. Each is a provider under a
 * name of its own; what a server does not serve, it says itself.
 */
import { InvalidInput } from '#domain';
import { fingerprint } from '../fingerprint.ts';
import type { Provider } from '../provider.ts';
import { cacheImageSupport, findImageSupport, type ListedModel } from '../image-support.ts';
import { chatCompletion, textGeneration } from './chat.ts';
import { Connection, type OpenAICompatibleOptions } from './connection.ts';
import { embeddings } from './embeddings.ts';
import { cancelVideo, imageToVideo, textToVideo } from './videos.ts';
import { moderation, reranking } from './moderation-and-reranking.ts';
import { imageToImage, inpainting, textToImage } from './images.ts';
import { automaticSpeechRecognition, textToSpeech } from './audio.ts';

export function createOpenAICompatible(options: OpenAICompatibleOptions): Provider {
  const on = new Connection(options);
  return {
    id: options.name,
    pool: 'remote',
    isBilled: () => true,
    ...(options.key && { token: fingerprint(options.key) }),
    concurrency: options.concurrency,
    getModelConcurrency: options.concurrencyOf,
    handlers: {
      'automatic-speech-recognition': automaticSpeechRecognition(on),
      'chat-completion': chatCompletion(on),
      embeddings: embeddings(on),
      'image-to-image': imageToImage(on),
      'image-to-video': imageToVideo(on),
      inpainting: inpainting(on),
      moderation: moderation(on),
      reranking: reranking(on),
      'text-generation': textGeneration(on),
      'text-to-image': textToImage(on),
      'text-to-speech': textToSpeech(on),
      'text-to-video': textToVideo(on),
    },
    acceptsImages: cacheImageSupport(async (model, signal) => {
      const { data } = await on.call(signal, (client) => client.models.list({ signal }));
      return findImageSupport(data as ListedModel[], model);
    }),
    cancelRun: (_, run) => cancelVideo(on, run),
    checkModel(model) {
      if (model !== '') return;
      throw new InvalidInput(`Name the model after the slash, as '${options.name}' knows it.`, {
        code: 'model_not_found',
        param: 'model',
      });
    },
  };
}
