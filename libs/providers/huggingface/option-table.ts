/**
 * What Hugging Face does with the options of each kind: the parameters of its tasks
 * (https://huggingface.co/docs/inference-providers/tasks/index), as far as its client library sends them.
 */
import type { KindRules, OptionTable } from '../option-rules.ts';

const oneImage: KindRules = {
  n: { refused: 'A call returns one image. Send one request for each.', allows: [1] },
};
const oneAnswer: KindRules = {
  top_k: { refused: 'It returns the best answer only. Leave it out.', allows: [1] },
};
const takenFromAnswer = { applied: 'the answer is cut to it' };
const onlySpeech =
  'The task takes the recording alone. A server with OpenAI’s API takes it: openai/whisper-1, for example.';
const onlyText =
  'The task takes the text alone. A server with OpenAI’s API takes it: openai/tts-1, for example.';

const videoOptions: KindRules = { size: { as: 'width, height' }, seconds: { as: 'duration' } };

export const huggingFaceOptionTable: OptionTable = {
  rules: {
    'audio-classification': { top_k: takenFromAnswer },
    'image-classification': { top_k: takenFromAnswer },
    'object-detection': { threshold: { applied: 'objects below it are left out' } },
    'automatic-speech-recognition': {
      language: { refused: onlySpeech },
      prompt: { refused: onlySpeech },
      temperature: { refused: onlySpeech },
      timestamps: { refused: onlySpeech, allows: ['none'] },
      translate: { refused: onlySpeech, allows: [false] },
    },
    'document-question-answering': {
      ...oneAnswer,
      language: { refused: 'The model has its language. Leave it out.' },
    },
    'question-answering': oneAnswer,
    'visual-question-answering': oneAnswer,
    embeddings: {
      encoding_format: { applied: 'Millrace writes the answer in it' },
      input_type: { as: 'prompt_name' },
      user: { applied: 'it names the end user, and changes no answer' },
    },
    'image-to-image': { ...oneImage, size: { as: 'target_size' } },
    'text-to-image': { ...oneImage, size: { as: 'width, height' } },
    'image-to-text': {
      prompt: { refused: 'Use chat-completion with the image in a message.' },
      max_tokens: { refused: 'Use chat-completion with the image in a message.' },
    },
    'image-to-video': { ...videoOptions, image: { as: 'image_url' } },
    'text-to-video': videoOptions,
    'text-to-audio': { seconds: { as: 'seconds_total' } },
    'text-to-speech': {
      voice: { refused: onlyText },
      speaker_id: { refused: onlyText },
      speed: { refused: onlyText },
      instructions: { refused: onlyText },
      response_format: { refused: onlyText },
    },
    'text-generation': {
      n: { refused: 'It returns one choice. Send one request for each.', allows: [1] },
      stream: { applied: 'the answer comes whole' },
      stream_options: { applied: 'usage is not reported' },
      user: { applied: 'it names the end user, and changes no answer' },
    },
    translation: { source_language: { as: 'src_lang' }, target_language: { as: 'tgt_lang' } },
  },
};
