/** All kinds, by id. A new kind is a new file in this folder and a line here. */
import { audioClassification } from './audio-classification.ts';
import { automaticSpeechRecognition } from './automatic-speech-recognition.ts';
import { chatCompletion } from './chat-completion.ts';
import { depthEstimation } from './depth-estimation.ts';
import { documentQuestionAnswering } from './document-question-answering.ts';
import { embeddings } from './embeddings.ts';
import { fillMask } from './fill-mask.ts';
import { imageClassification } from './image-classification.ts';
import { imageSegmentation } from './image-segmentation.ts';
import { imageToImage } from './image-to-image.ts';
import { imageToText } from './image-to-text.ts';
import { imageToVideo } from './image-to-video.ts';
import { inpainting } from './inpainting.ts';
import { moderation } from './moderation.ts';
import { objectDetection } from './object-detection.ts';
import { questionAnswering } from './question-answering.ts';
import { reranking } from './reranking.ts';
import { sentenceSimilarity } from './sentence-similarity.ts';
import { summarization } from './summarization.ts';
import { tableQuestionAnswering } from './table-question-answering.ts';
import { textClassification } from './text-classification.ts';
import { textGeneration } from './text-generation.ts';
import { textToAudio } from './text-to-audio.ts';
import { textToImage } from './text-to-image.ts';
import { textToSpeech } from './text-to-speech.ts';
import { textToVideo } from './text-to-video.ts';
import { tokenClassification } from './token-classification.ts';
import { translation } from './translation.ts';
import { visualQuestionAnswering } from './visual-question-answering.ts';
import { zeroShotClassification } from './zero-shot-classification.ts';
import { zeroShotImageClassification } from './zero-shot-image-classification.ts';

export const kinds = {
  'audio-classification': audioClassification,
  'automatic-speech-recognition': automaticSpeechRecognition,
  'chat-completion': chatCompletion,
  'depth-estimation': depthEstimation,
  'document-question-answering': documentQuestionAnswering,
  embeddings,
  'fill-mask': fillMask,
  'image-classification': imageClassification,
  'image-segmentation': imageSegmentation,
  'image-to-image': imageToImage,
  'image-to-text': imageToText,
  'image-to-video': imageToVideo,
  inpainting,
  moderation,
  'object-detection': objectDetection,
  'question-answering': questionAnswering,
  reranking,
  'sentence-similarity': sentenceSimilarity,
  summarization,
  'table-question-answering': tableQuestionAnswering,
  'text-classification': textClassification,
  'text-generation': textGeneration,
  'text-to-audio': textToAudio,
  'text-to-image': textToImage,
  'text-to-speech': textToSpeech,
  'text-to-video': textToVideo,
  'token-classification': tokenClassification,
  translation,
  'visual-question-answering': visualQuestionAnswering,
  'zero-shot-classification': zeroShotClassification,
  'zero-shot-image-classification': zeroShotImageClassification,
} as const;
