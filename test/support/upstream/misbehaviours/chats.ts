/** Chat completions as vLLM, SGLang, TGI, llama.cpp, Ollama, Gemini, Azure, Mistral and gateways answer them. */
import {
  call,
  chatPath as path,
  chunk,
  completion,
  done,
  isStreamed,
  json,
  rawJson,
  said,
  stream,
  untyped,
  type Misbehaviour,
} from './behaviour.ts';

const weather = '{"city":"Paris"}';

export const chats: readonly Misbehaviour[] = [
  {
    name: 'tool-calls-same-index',
    source: 'https://github.com/ai-dynamo/dynamo/pull/4723',
    path,
    answer: () =>
      stream(
        chunk({ tool_calls: [call(0, 'call_a', 'get_weather', weather)] }),
        chunk({ tool_calls: [call(0, 'call_b', 'get_time', '{}')] }, 'tool_calls'),
        done,
      ),
  },
  {
    name: 'tool-call-without-index',
    source: 'https://github.com/openai/openai-python/issues/2806',
    path,
    answer: () =>
      stream(chunk({ tool_calls: [call(undefined, 'call_a', 'get_weather', weather)] }, 'stop'), done),
  },
  {
    name: 'tool-call-pieces-without-index-and-id',
    source: 'https://github.com/AstrBotDevs/AstrBot/issues/6661',
    path,
    answer: () =>
      stream(
        chunk({ tool_calls: [call(undefined, 'call_a', 'get_weather', '')] }),
        chunk({ tool_calls: [{ id: '', type: '', function: { arguments: '{"city":' } }] }),
        chunk({ tool_calls: [{ id: '', type: '', function: { arguments: '"Paris"}' } }] }, 'tool_calls'),
        done,
      ),
  },
  {
    name: 'tool-call-as-object',
    source: 'https://github.com/huggingface/text-generation-inference/issues/2794',
    path,
    answer: () =>
      stream(
        chunk({ role: 'assistant', tool_calls: call(0, '', 'get_weather', '{"city":') }),
        chunk({ role: 'assistant', tool_calls: call(0, '', null, '"Paris"}') }, 'tool_calls'),
        done,
      ),
  },
  {
    name: 'tool-call-name-repeated',
    source: 'https://github.com/vllm-project/vllm/issues/14951',
    path,
    answer: () =>
      stream(
        chunk({ tool_calls: [call(0, 'call_a', 'get_weather', '')] }),
        chunk({ tool_calls: [call(0, 'call_a', 'get_weather', '{"city":')] }),
        chunk({ tool_calls: [call(0, 'call_a', 'get_weather', '"Paris"}')] }, 'tool_calls'),
        done,
      ),
  },
  {
    name: 'tool-arguments-as-object',
    source: 'https://github.com/huggingface/text-generation-inference/issues/2136',
    path,
    answer: () =>
      json(completion({ message: { tool_calls: [call(undefined, '0', 'get_weather', { city: 'Paris' })] } })),
  },
  {
    name: 'tool-arguments-null',
    source: 'https://github.com/UKGovernmentBEIS/inspect_ai/pull/1874',
    path,
    answer: () =>
      json(completion({ message: { content: null, tool_calls: [call(undefined, '0', 'get_time', null)] } })),
  },
  {
    name: 'role-and-content-null',
    source: 'https://github.com/sgl-project/sglang/issues/18335',
    path,
    answer: () =>
      stream(
        chunk({ role: null, content: null, reasoning_content: 'Hm', tool_calls: null }),
        chunk({ role: null, content: null, reasoning_content: 'm.', tool_calls: null }),
        chunk({ role: 'assistant', content: 'Hello', tool_calls: null }, 'stop', { usage: null }),
        done,
      ),
  },
  {
    name: 'finish-reason-always-null',
    source: 'https://github.com/sgl-project/sglang/issues/4550',
    path,
    answer: () => stream(chunk({ role: 'assistant', content: 'Hel' }), chunk({ content: 'lo' }), done),
  },
  {
    name: 'finish-reason-empty',
    source: 'https://github.com/ollama/ollama/issues/4357',
    path,
    answer: () =>
      stream(
        chunk({ content: 'Hel' }, ''),
        chunk({ content: 'lo' }, ''),
        chunk({ content: '' }, 'stop'),
        done,
      ),
  },
  {
    name: 'finish-reason-twice',
    source: 'https://github.com/sgl-project/sglang/pull/8417',
    path,
    answer: () => stream(chunk({ content: 'Hello' }, 'stop'), chunk({}, 'stop'), done),
  },
  {
    name: 'finish-reason-on-choice-0',
    source: 'https://github.com/ggml-org/llama.cpp/pull/20226',
    path,
    answer: () =>
      stream(
        { choices: [{ index: 0, delta: { content: 'Hello' } }] },
        { choices: [{ index: 1, delta: { content: 'Goodbye' } }] },
        { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
        { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
        done,
      ),
  },
  {
    name: 'no-done',
    source: 'https://github.com/huggingface/text-generation-inference/issues/1896',
    path,
    answer: () => stream(chunk({ role: 'assistant', content: 'Hel' }), chunk({ content: 'lo' })),
  },
  {
    name: 'empty-choices-first',
    source: 'https://github.com/BerriAI/litellm/issues/14298',
    path,
    answer: () =>
      stream(
        { id: '', model: '', choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
        chunk({ role: 'assistant', content: 'Hello' }, 'stop', { system_fingerprint: 'fp_1' }),
        { choices: [], usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 } },
        done,
      ),
  },
  {
    name: 'no-delta',
    source: 'https://github.com/langchain-ai/langchain/issues/18977',
    path,
    answer: () =>
      stream(
        chunk({ content: 'Hello' }, 'stop'),
        { choices: [{ index: 0, finish_reason: null, content_filter_offsets: { check_offset: 44 } }] },
        done,
      ),
  },
  {
    name: 'delta-null',
    source: 'https://github.com/pydantic/pydantic-ai/issues/797',
    path,
    answer: () => stream(chunk(null), chunk({ content: 'Hello' }), chunk(null, 'stop'), done),
  },
  {
    name: 'delta-and-message',
    source: 'https://github.com/BerriAI/litellm/issues/1081',
    path,
    answer: () => {
      const message = { content: null, role: 'assistant' };
      return stream(
        { choices: [{ index: 0, delta: { content: 'Hello' }, message, finish_reason: null }] },
        { choices: [{ index: 0, delta: { content: null, role: null }, message, finish_reason: 'stop' }] },
        done,
      );
    },
  },
  {
    name: 'usage-before-the-end',
    source: 'https://github.com/langchain-ai/langchain-litellm/pull/56',
    path,
    answer: () =>
      stream(
        chunk({ content: 'Hel' }, null, { usage: { prompt_tokens: 3, completion_tokens: 1 } }),
        chunk({ content: 'lo' }, 'stop', {
          usage: { prompt_tokens: 3, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 2 } },
        }),
        done,
      ),
  },
  {
    name: 'comments',
    source: 'https://openrouter.ai/docs/api-reference/streaming',
    path,
    answer: () =>
      stream(
        ': OPENROUTER PROCESSING\n\n',
        chunk({ content: 'Hel' }),
        ': OPENROUTER PROCESSING\n\n',
        'event: ping\ndata: {}\n\n',
        chunk({ content: 'lo' }, 'stop'),
        done,
      ),
  },
  {
    name: 'comments-before-json',
    source: 'https://github.com/router-for-me/CLIProxyAPI/issues/417',
    path,
    answer: () => untyped(`: OPENROUTER PROCESSING\n\n\n${JSON.stringify(said('Hello'))}`),
  },
  {
    name: 'json-for-a-stream',
    source: 'https://github.com/mistralai/mistral-vibe/issues/84',
    path,
    answer: () => json(said('Hello', { logprobs: { content: [] } })),
  },
  {
    name: 'stream-for-json',
    source: 'https://github.com/sgl-project/mini-sglang/issues/51',
    path,
    answer: () => stream(chunk({ content: 'Hel' }), chunk({ content: 'lo' }, 'stop'), done),
  },
  {
    name: 'done-after-json',
    source: 'https://github.com/decolua/9router/issues/3492',
    path,
    answer: () => ({
      headers: { 'content-type': 'text/event-stream' },
      bytes: Buffer.from(`${JSON.stringify(said('Hello'))}\n\n${done}`),
    }),
  },
  {
    name: 'content-as-parts',
    source: 'https://github.com/NousResearch/hermes-agent/pull/4748',
    path,
    answer: () =>
      json(
        said([
          { type: 'thinking', thinking: [{ type: 'text', text: 'Hmm.' }] },
          { type: 'text', text: 'Hello' },
        ]),
      ),
  },
  {
    name: 'delta-content-as-parts',
    source: 'https://github.com/BerriAI/litellm/issues/16272',
    path,
    answer: () =>
      stream(
        chunk({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] }] }),
        chunk({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'm.' }] }] }),
        chunk({ content: 'Hello' }, 'stop'),
        done,
      ),
  },
  {
    name: 'reasoning-and-logprobs',
    source: 'https://openrouter.ai/docs/use-cases/reasoning-tokens',
    path,
    answer: (request) => {
      const logprobs = (token: string) => ({ content: [{ token, logprob: -0.1 }] });
      if (!isStreamed(request)) {
        const message = {
          role: 'assistant',
          content: 'Hello',
          reasoning: 'Hmm.',
          refusal: null,
          annotations: [{ type: 'x' }],
        };
        return json(
          completion(
            { index: 0, message, finish_reason: 'stop', logprobs: logprobs('Hello') },
            { service_tier: 'flex', system_fingerprint: 'fp_1', citations: ['https://example.com'] },
          ),
        );
      }
      const shared = { system_fingerprint: 'fp_1', citations: ['https://example.com'] };
      return stream(
        { ...shared, choices: [{ index: 0, delta: { reasoning: 'Hm' } }] },
        { ...shared, choices: [{ index: 0, delta: { reasoning: 'm.' } }] },
        { ...shared, choices: [{ index: 0, delta: { content: 'Hel' }, logprobs: logprobs('Hel') }] },
        {
          ...shared,
          choices: [{ index: 0, delta: { content: 'lo' }, logprobs: logprobs('lo'), finish_reason: 'stop' }],
        },
        done,
      );
    },
  },
  {
    name: 'nul-and-lone-surrogate',
    source: 'https://github.com/opensanctions/poliloom/issues/138',
    path,
    answer: () =>
      rawJson(JSON.stringify(said('XY')).replace('XY', 'K\\u0000rsou \\ud83d \\ud83d\\ude00 \\\\u0000')),
  },
  {
    name: 'minus-infinity',
    source: 'https://github.com/dphnAI/sonar/issues/183',
    path,
    answer: () =>
      rawJson(
        JSON.stringify(said('-Infinity', { logprobs: { content: [{ token: 'x', logprob: 7 }] } })).replace(
          ':7}',
          ':-Infinity}',
        ),
      ),
  },
  {
    name: 'tool-calls-null',
    source: 'https://github.com/stacklok/codegate/pull/149',
    path,
    answer: () =>
      json({
        choices: [{ message: { content: 'Hello', tool_calls: null, function_call: null } }],
        usage: null,
      }),
  },
];
