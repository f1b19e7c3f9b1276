/** What Ollama does with the options of each kind: https://github.com/ollama/ollama/blob/main/docs/api.md */
import type { KindRules, OptionRule, OptionTable } from '../option-rules.ts';
import { sameName } from './options.ts';

const sampling: KindRules = {
  ...Object.fromEntries(sameName.map((name) => [name, { as: `options.${name}` }])),
  max_tokens: { as: 'options.num_predict' },
  n: { refused: 'Ollama returns one choice per call. Leave it out.', allows: [1] },
  stream_options: { applied: 'usage is always reported at the end of a stream' },
  user: { applied: 'it names the end user, and changes no answer' },
  keep_alive: 'given',
};

const names = [...sameName, 'max_tokens', 'keep_alive'].join(', ');

const chat: KindRules = {
  ...sampling,
  max_completion_tokens: { as: 'options.num_predict' },
  tool_choice: {
    refused: "The model decides. Leave it out, or use 'auto' or 'none'.",
    allows: ['auto', 'none'],
  },
  response_format: { as: 'format' },
  reasoning_effort: { as: 'think' },
  think: 'given',
  messages: { as: 'messages, in its own format' },
  // Clients send these by default, with values that change nothing here.
  parallel_tool_calls: { refused: 'The model decides. Leave it out.', allows: [true] },
  logit_bias: { refused: `Its sampling options are: ${names}.`, allows: [{}] },
  store: { refused: 'Nothing is stored there. Leave it out.', allows: [false] },
  service_tier: { refused: 'There is one. Leave it out.', allows: ['auto', 'default'] },
  safety_identifier: { applied: 'it names the end user, and changes no answer' },
  prompt_cache_key: { applied: 'it changes no answer' },
};

const noSuchOption: OptionRule = {
  refused: `It has no such option. It takes: ${names}, think, reasoning_effort.`,
};

export const ollamaOptionTable: OptionTable = {
  rules: {
    'chat-completion': chat,
    'text-generation': {
      ...sampling,
      prompt: 'given',
      suffix: 'given',
      repetition_penalty: { as: 'options.repeat_penalty' },
    },
    embeddings: {
      encoding_format: { applied: 'Millrace writes the answer in it' },
      input_type: {
        refused: "Put the prefix that the model expects into the text, for example 'search_query: …'.",
      },
      user: { applied: 'it names the end user, and changes no answer' },
    },
  },
  others: { 'chat-completion': noSuchOption, 'text-generation': noSuchOption },
};
