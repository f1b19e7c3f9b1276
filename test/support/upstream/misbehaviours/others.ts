/** Embeddings, images, lists of models, Ollama's own API, Hugging Face's tasks, and runs that are polled. */
import { buildVector } from '../model-outputs.ts';
import { getField, type Reply, type UpstreamCall } from '../call.ts';
import { json, rawJson, stream, untyped, type Misbehaviour } from './behaviour.ts';

const embeddingsPath = /\/v1\/embeddings$/;
const inputsOf = (call: UpstreamCall) => [getField(call, 'input')].flat() as string[];

const vectors = (call: UpstreamCall, toItem: (vector: number[], index: number) => unknown): Reply =>
  json({ object: 'list', data: inputsOf(call).map((text, index) => toItem(buildVector(text), index)) });

const ollamaChat = /\/api\/chat$/;
const lines = (...bodies: object[]): Reply => ({
  headers: { 'content-type': 'application/x-ndjson' },
  pieces: bodies.map((body) => `${JSON.stringify(body)}\n`),
});
const ollamaLine = (content: string, more: object = {}) => ({
  message: { role: 'assistant', content },
  ...more,
});

/** Answers the start of a video with its name as the id, and each poll with this. */
const video =
  (poll: object) =>
  ({ method }: UpstreamCall, id: string): Reply =>
    json(
      method === 'POST'
        ? { id, object: 'video', status: 'queued', progress: 0 }
        : { id, object: 'video', ...poll },
    );

export const others: readonly Misbehaviour[] = [
  {
    name: 'refuses-base64',
    source: 'https://github.com/vllm-project/vllm/issues/6174',
    path: embeddingsPath,
    answer: (call) =>
      getField(call, 'encoding_format') === 'base64'
        ? json({ object: 'error', message: 'base64 encoding is not currently supported', code: 400 }, 400)
        : vectors(call, (embedding, index) => ({ object: 'embedding', index, embedding })),
  },
  {
    name: 'ignores-base64',
    source: 'https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/756',
    path: embeddingsPath,
    answer: (call) => vectors(call, (embedding, index) => ({ index, embedding })),
  },
  {
    name: 'all-vectors-index-0',
    source: 'https://github.com/abetlen/llama-cpp-python/issues/1588',
    path: embeddingsPath,
    answer: (call) => vectors(call, (vector) => ({ index: 0, embedding: [vector] })),
  },
  {
    name: 'bare-list-of-vectors',
    source: 'https://github.com/huggingface/text-embeddings-inference/issues/305',
    path: embeddingsPath,
    answer: (call) => json(inputsOf(call).map((text) => buildVector(text))),
  },
  {
    name: 'image-url',
    source: 'https://github.com/trypromptly/LLMStack/issues/81',
    path: /\/v1\/images\/generations$/,
    answer: ({ headers }) => json({ created: 1, data: [{ url: `http://${headers.host}/media/image.png` }] }),
  },
  {
    name: 'video-cancelled',
    source: 'https://platform.openai.com/docs/api-reference/videos',
    path: /\/v1\/videos/,
    answer: (call) => video({ status: 'cancelled' })(call, 'video-cancelled'),
  },
  {
    name: 'video-unknown-state',
    source: 'https://platform.openai.com/docs/api-reference/videos',
    path: /\/v1\/videos/,
    answer: (call) => video({ status: 'moderated' })(call, 'video-unknown-state'),
  },
  {
    name: 'video-failed-with-code',
    source: 'https://platform.openai.com/docs/guides/video-generation',
    path: /\/v1\/videos/,
    answer: (call) =>
      video({
        status: 'failed',
        error: { code: 'moderation_blocked', message: 'Your request was blocked.' },
      })(call, 'video-failed-with-code'),
  },
  {
    name: 'load-instead-of-an-answer',
    source: 'https://github.com/langchain-ai/langchain/issues/31482',
    path: ollamaChat,
    answer: () => json(ollamaLine('', { done: true, done_reason: 'load' })),
  },
  {
    name: 'error-in-the-middle',
    source: 'https://github.com/ollama/ollama/issues/8258',
    path: ollamaChat,
    answer: () =>
      lines(ollamaLine('Hel', { done: false }), {
        error: 'an error was encountered while running the model: unexpected EOF',
      }),
  },
  {
    name: 'lines-for-json',
    source: 'https://github.com/code-yeongyu/oh-my-openagent/issues/1120',
    path: ollamaChat,
    answer: () => lines(ollamaLine('Hello', { done: true, done_reason: 'stop' })),
  },
  {
    name: 'thinking-only',
    source: 'https://github.com/omeryasirkucuk/amx/pull/372',
    path: ollamaChat,
    answer: () =>
      json({
        message: { role: 'assistant', content: '', thinking: 'Hmm.' },
        done: true,
        done_reason: 'length',
      }),
  },
  {
    name: 'no-end-line',
    source: 'https://github.com/ollama/ollama/issues/8258',
    path: ollamaChat,
    answer: () => lines(ollamaLine('Hel', { done: false })),
  },
  {
    name: 'hub-error-object',
    source: 'https://huggingface.co/docs/inference-providers/hub-api',
    path: /^\/api\/models\//,
    answer: () => json({ error: { message: 'Too many requests', limit: 100 } }, 429),
  },
  {
    name: 'task-json-as-text',
    source: 'https://github.com/huggingface/huggingface-inference-toolkit/issues/24',
    path: /^\/hf-inference\//,
    answer: () => untyped('[{"summary_text":"Hello"}]'),
  },
  {
    name: 'task-error-behind-200',
    source: 'https://github.com/BerriAI/litellm/issues/1242',
    path: /^\/hf-inference\//,
    answer: () => json({ error: 'Model x is currently loading', estimated_time: 20 }),
  },
  {
    name: 'prediction-aborted',
    source: 'https://replicate.com/docs/topics/predictions/lifecycle',
    path: /^\/replicate\//,
    answer: () => json({ id: 'prediction-aborted', status: 'aborted', error: null, logs: '', output: null }),
  },
  {
    name: 'prediction-nul-in-logs',
    source: 'https://replicate.com/docs/reference/http',
    path: /^\/replicate\//,
    answer: ({ headers }) =>
      rawJson(
        `{"id":"prediction-nul-in-logs","status":"succeeded","logs":"a\\nstep \\u0000 25%|###","output":{"video":"http://${headers.host}/media/video.mp4"}}`,
      ),
  },
  {
    name: 'queue-log-percent',
    source: 'https://fal.ai/docs/inference-api/queue/status.md',
    path: /\/queue-log-percent\/requests\/[^/]+\/status$/,
    answer: () => json({ status: 'COMPLETED', logs: [{ message: 'Rendering: 25 %' }], queue_position: null }),
  },
  {
    name: 'queue-completed-with-an-error',
    source: 'https://docs.fal.ai/model-endpoints/queue',
    path: /\/queue-completed-with-an-error\/requests\/[^/]+$/,
    answer: () =>
      json(
        {
          detail: [
            { loc: ['body', 'prompt'], msg: 'The content was flagged', type: 'content_policy_violation' },
          ],
        },
        422,
      ),
  },
  {
    name: 'text-stream-in-chat-format',
    source: 'https://github.com/sgl-project/mini-sglang/issues/51',
    path: /\/v1\/completions$/,
    answer: () =>
      stream(
        { choices: [{ index: 0, delta: { content: 'Hel' } }] },
        { choices: [{ index: 0, text: 'lo', finish_reason: 'stop' }] },
      ),
  },
];
