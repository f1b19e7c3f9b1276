/**
 * Hugging Face: Inference Providers through the router, and dedicated inference endpoints. It runs the kinds that its
 * client library has methods for.
 */
import { createDefaultCredential } from '../credential.ts';
import { cacheImageSupport, findImageSupport, type ListedModel } from '../image-support.ts';
import type { Provider } from '../provider.ts';
import { withOptionChecks } from '../with-option-checks.ts';
import { huggingFaceOptionTable } from './option-table.ts';
import { chatCompletion } from './chat.ts';
import { Connection, routerUrl, type HuggingFaceOptions } from './connection.ts';
import * as media from './image-and-audio.ts';
import { imageToImage, textToImage } from './images.ts';
import { cancelInQueue } from './provider-queues.ts';
import * as text from './text.ts';
import { imageToVideo, textToVideo } from './videos.ts';

export function createHuggingFace(options: HuggingFaceOptions): Provider {
  const connection = new Connection(options);
  const provider: Provider = {
    id: 'hf',
    pool: 'remote',
    isBilled: () => true,
    defaultCredential: createDefaultCredential('hf', options.token),
    concurrency: options.concurrency,
    getModelConcurrency: options.getModelConcurrency,
    handlers: {
      'audio-classification': media.audioClassification(connection),
      'automatic-speech-recognition': media.automaticSpeechRecognition(connection),
      'chat-completion': chatCompletion(connection),
      'document-question-answering': media.documentQuestionAnswering(connection),
      embeddings: text.embeddings(connection),
      'fill-mask': text.fillMask(connection),
      'image-classification': media.imageClassification(connection),
      'image-segmentation': media.imageSegmentation(connection),
      'image-to-image': imageToImage(connection),
      'image-to-text': media.imageToText(connection),
      'image-to-video': imageToVideo(connection),
      'object-detection': media.objectDetection(connection),
      'question-answering': text.questionAnswering(connection),
      'sentence-similarity': text.sentenceSimilarity(connection),
      summarization: text.summarization(connection),
      'table-question-answering': text.tableQuestionAnswering(connection),
      'text-classification': text.textClassification(connection),
      'text-generation': text.textGeneration(connection),
      'text-to-audio': media.textToAudio(connection),
      'text-to-image': textToImage(connection),
      'text-to-speech': media.textToSpeech(connection),
      'text-to-video': textToVideo(connection),
      'token-classification': text.tokenClassification(connection),
      translation: text.translation(connection),
      'visual-question-answering': media.visualQuestionAnswering(connection),
      'zero-shot-classification': text.zeroShotClassification(connection),
      'zero-shot-image-classification': media.zeroShotImageClassification(connection),
    },
    acceptsImages: cacheImageSupport(async (access, signal) => {
      const { model, endpointUrl } = connection.parseTarget(access.model);
      if (endpointUrl) return null;
      const { data } = await connection.request<{ data: ListedModel[] }>(
        `${routerUrl}/v1/models`,
        { ...access, model },
        signal,
      );
      return findImageSupport(data, model);
    }),
    cancelRun: (access, runId) => cancelInQueue(connection, access, runId),
    checkModel: (model) => void connection.parseTarget(model),
  };
  return withOptionChecks(provider, huggingFaceOptionTable);
}
