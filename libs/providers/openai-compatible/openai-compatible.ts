/**
 * Servers that speak OpenAI's API: OpenAI, vLLM, SGLang, TGI, TEI, llama.cpp, LM Studio. Each is a provider under a
 * name of its own; what a server does not serve, it says itself.
 */
import { InvalidInput } from '#domain';
import { fingerprint } from '../fingerprint.ts';
import type { Provider } from '../provider.ts';
import { askedFor, seesBy, type ListedModel } from '../vision.ts';
import { chatCompletion, textGeneration } from './chat.ts';
import { Connection, type OpenAICompatibleOptions } from './connection.ts';
import { embeddings } from './embeddings.ts';
import { endFilm, imageToVideo, textToVideo } from './films.ts';
import { moderation, reranking } from './judgements.ts';
import { imageToImage, inpainting, textToImage } from './pictures.ts';
import { automaticSpeechRecognition, textToSpeech } from './speech.ts';

export function createOpenAICompatible(options: OpenAICompatibleOptions): Provider {
  const on = new Connection(options);
  return {
    id: options.name,
    pool: 'remote',
    costs: () => true,
    ...(options.key && { token: fingerprint(options.key) }),
    concurrency: options.concurrency,
    concurrencyOf: options.concurrencyOf,
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
    sees: askedFor(async (model, signal) => {
      const { data } = await on.call(signal, (client) => client.models.list({ signal }));
      return seesBy(data as ListedModel[], model);
    }),
    endRun: (_, run) => endFilm(on, run),
    check(model) {
      if (model !== '') return;
      throw new InvalidInput(`Name the model after the slash, as '${options.name}' knows it.`, {
        code: 'model_not_found',
        param: 'model',
      });
    },
  };
}
