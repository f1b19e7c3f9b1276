/** Errors as servers and what is before them report them: behind a 200, in a choice, in a stream, in other shapes. */
import {
  chatPath as path,
  chunk,
  completion,
  done,
  html,
  json,
  rawJson,
  stream,
  untyped,
  type Misbehaviour,
} from './behaviour.ts';

const limited = { message: 'Rate limit exceeded: free-models-per-min.', code: 429 };

export const errors: readonly Misbehaviour[] = [
  {
    name: 'error-behind-200',
    source: 'https://openrouter.ai/docs/api/errors',
    path,
    answer: () => json({ error: limited, user_id: 'user_1' }),
  },
  {
    name: 'error-in-a-choice',
    source: 'https://openrouter.ai/docs/api/reference/errors-and-debugging.md',
    path,
    answer: () =>
      json(
        completion({
          index: 0,
          message: { role: 'assistant', content: '' },
          finish_reason: 'error',
          error: { code: 502, message: 'Provider disconnected', metadata: { raw: 'upstream reset' } },
        }),
      ),
  },
  {
    name: 'error-in-a-stream',
    source: 'https://openrouter.ai/docs/errors',
    path,
    answer: () => stream({ error: limited, choices: [] }),
  },
  {
    name: 'error-event',
    source: 'https://github.com/zendev-sh/goai/pull/110',
    path,
    answer: () =>
      stream(
        chunk({ content: 'Hel' }),
        'event: error\ndata: {"error":{"message":"Compute error."},"message":"Compute error."}\n\n',
      ),
  },
  {
    name: 'error-object',
    source: 'https://github.com/vllm-project/vllm/issues/6174',
    path,
    answer: () =>
      json(
        {
          object: 'error',
          message: 'max_tokens is too large',
          type: 'BadRequestError',
          param: null,
          code: 400,
        },
        400,
      ),
  },
  {
    name: 'error-object-behind-200',
    source: 'https://github.com/lm-sys/FastChat/pull/1300',
    path,
    answer: () => json({ object: 'error', message: '1 validation error for Request', code: 40_001 }),
  },
  {
    name: 'error-string',
    source: 'https://github.com/ollama/ollama/blob/main/docs/api/errors.mdx',
    path,
    answer: () => json({ error: 'model requires more system memory' }, 500),
  },
  {
    name: 'validation-error-behind-200',
    source: 'https://github.com/huggingface/text-generation-inference/issues/1896',
    path,
    answer: () =>
      json({ error: 'Input validation error: `top_p` must be > 0.0 and < 1.0', error_type: 'validation' }),
  },
  {
    name: 'limit-of-another-gateway',
    source: 'https://github.com/pollinations/pollinations/issues/6260',
    path,
    answer: () =>
      json({
        success: false,
        error: {
          message: 'azure-openai error: high demand. Please retry after 20 seconds.',
          code: 'RATE_LIMITED',
        },
        status: 429,
      }),
  },
  {
    name: 'error-list',
    source: 'https://github.com/google-gemini/gemini-cli/issues/14831',
    path,
    answer: () =>
      json(
        [
          {
            error: {
              code: 429,
              message: 'Resource exhausted.',
              status: 'RESOURCE_EXHAUSTED',
              details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34s' }],
            },
          },
        ],
        429,
      ),
  },
  {
    name: 'error-as-text-in-an-error',
    source: 'https://github.com/continuedev/continue/issues/10560',
    path,
    answer: () =>
      json({
        error: {
          message: JSON.stringify({
            error: { code: 429, message: 'Resource has been exhausted', status: 'RESOURCE_EXHAUSTED' },
          }),
          code: 429,
          status: 'Too Many Requests',
        },
      }),
  },
  {
    name: 'detail-list',
    source: 'https://github.com/ztjhz/BetterChatGPT/issues/248',
    path,
    answer: () =>
      json(
        {
          detail: [{ loc: ['body', 'max_tokens'], msg: 'none is not an allowed value', type: 'type_error' }],
        },
        422,
      ),
  },
  {
    name: 'detail-text',
    source: 'https://fastapi.tiangolo.com/tutorial/handling-errors/',
    path,
    answer: () => json({ detail: 'Model not loaded' }, 503),
  },
  {
    name: 'html-error',
    source: 'https://github.com/Significant-Gravitas/AutoGPT/issues/944',
    path,
    answer: () =>
      html(
        '<!DOCTYPE html><html><head><title>502</title><style>p{}</style></head><body><h1>Bad gateway</h1></body></html>',
        502,
      ),
  },
  {
    name: 'html-behind-200',
    source: 'https://github.com/musistudio/claude-code-router/issues/204',
    path,
    answer: () => html('<!DOCTYPE html><html><body>Sign in</body></html>'),
  },
  {
    name: 'endpoint-unknown-behind-200',
    source: 'https://github.com/OpenHands/OpenHands/issues/419',
    path,
    answer: () => json({ error: 'Unexpected endpoint or method. (POST /v1/chat/completions)' }),
  },
  {
    name: 'nul-in-an-error',
    source: 'https://github.com/airbytehq/airbyte/issues/3476',
    path,
    answer: () =>
      rawJson('{"error":{"message":"bad \\u0000 byte","code":"bad_\\ud800","param":"x\\u0000"}}', 400),
  },
  {
    name: 'overloaded',
    source: 'https://github.com/huggingface/text-generation-inference/issues/439',
    path,
    answer: () => json({ error: 'Model is overloaded', error_type: 'overloaded' }, 429),
  },
  {
    name: 'loading',
    source: 'https://github.com/huggingface/transformers/issues/32665',
    path,
    answer: () => json({ error: 'Model x is currently loading', estimated_time: 20 }, 503),
  },
  {
    name: 'retry-in-words',
    source: 'https://github.com/microsoft/action-python/issues/12',
    path,
    answer: () =>
      json(
        {
          error: { code: '429', message: 'Requests have exceeded the limit. Please retry after 26 seconds.' },
        },
        429,
      ),
  },
  {
    name: 'empty-body',
    source: 'https://github.com/binary-husky/gpt_academic/issues/486',
    path,
    answer: () => untyped(''),
  },
  {
    name: 'no-choices',
    source: 'https://github.com/affaan-m/ECC/pull/1976',
    path,
    answer: () => json({ id: '1', object: 'chat.completion', choices: [] }),
  },
  {
    name: 'stream-without-an-answer',
    source: 'https://github.com/scaleapi/llm-engine/pull/534',
    path,
    answer: () => stream(chunk({ role: 'assistant', content: '' }), done),
  },
  {
    name: 'operator-address',
    source: 'https://github.com/chatboxai/chatbox/issues/2114',
    path,
    answer: ({ headers }) =>
      json({ error: `POST predict: Post "http://${headers.host}/completion": EOF` }, 500),
  },
];
