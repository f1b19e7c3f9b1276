/** Hugging Face: Inference Providers through the router, and dedicated endpoints. Its table is what its client has methods for. */
import { fingerprint } from '../fingerprint.ts';
import type { Provider } from '../provider.ts';
import { cacheImageSupport, findImageSupport, type ListedModel } from '../image-support.ts';
import { Connection, type HuggingFaceOptions } from './connection.ts';
import { chatCompletion } from './chat.ts';
import { imageToImage, imageToVideo, textToImage, textToVideo } from './images.ts';
import { cancelInQueue } from './provider-queues.ts';
import * as senses from './image-and-audio.ts';
import { parseTarget } from './target.ts';
import * as text from './text.ts';

/** Models of its chat, with what goes into them. */
const routerModels = 'https://router.huggingface.co/v1/models';

export function createHuggingFace(options: HuggingFaceOptions): Provider {
  const on = new Connection(options);
  const { endpoints, concurrency, concurrencyOf: getModelConcurrency, token } = options;
  return {
    id: 'hf',
    pool: 'remote',
    isBilled: () => true,
    ...(token && { token: fingerprint(token) }),
    concurrency,
    getModelConcurrency,
    handlers: {
      'audio-classification': senses.audioClassification(on, endpoints),
      'automatic-speech-recognition': senses.automaticSpeechRecognition(on, endpoints),
      'chat-completion': chatCompletion(on, endpoints),
      'document-question-answering': senses.documentQuestionAnswering(on, endpoints),
      embeddings: text.embeddings(on, endpoints),
      'fill-mask': text.fillMask(on, endpoints),
      'image-classification': senses.imageClassification(on, endpoints),
      'image-segmentation': senses.imageSegmentation(on, endpoints),
      'image-to-image': imageToImage(on, endpoints),
      'image-to-text': senses.imageToText(on, endpoints),
      'image-to-video': imageToVideo(on, endpoints),
      'object-detection': senses.objectDetection(on, endpoints),
      'question-answering': text.questionAnswering(on, endpoints),
      'sentence-similarity': text.sentenceSimilarity(on, endpoints),
      summarization: text.summarization(on, endpoints),
      'table-question-answering': text.tableQuestionAnswering(on, endpoints),
      'text-classification': text.textClassification(on, endpoints),
      'text-generation': text.textGeneration(on, endpoints),
      'text-to-audio': senses.textToAudio(on, endpoints),
      'text-to-image': textToImage(on, endpoints),
      'text-to-speech': senses.textToSpeech(on, endpoints),
      'text-to-video': textToVideo(on, endpoints),
      'token-classification': text.tokenClassification(on, endpoints),
      translation: text.translation(on, endpoints),
      'visual-question-answering': senses.visualQuestionAnswering(on, endpoints),
      'zero-shot-classification': text.zeroShotClassification(on, endpoints),
      'zero-shot-image-classification': senses.zeroShotImageClassification(on, endpoints),
    },
    acceptsImages: cacheImageSupport(async (name, signal) => {
      const { model, endpointUrl } = parseTarget(name, endpoints);
      if (endpointUrl) return null;
      return findImageSupport(
        (await on.request<{ data: ListedModel[] }>(routerModels, model, signal)).data,
        model,
      );
    }),
    cancelRun: (model, run) => cancelInQueue(on, parseTarget(model, endpoints), run),
    checkModel: (model) => void parseTarget(model, endpoints),
  };
}
