/** `/v1/chat/completions` and `/v1/completions`, in OpenAI's shape. Unknown fields are passed to the model, at any depth. */
import { z } from 'zod';
import { anyInteger, integer, numberIn, optional } from './fields.ts';

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });
const imagePart = z.looseObject({
  type: z.literal('image_url'),
  /** An https URL or a data URI, as with OpenAI; also the id of an uploaded file. */
  image_url: z.looseObject({ url: z.string().min(1), detail: optional(z.string()) }),
});
const audioPart = z.looseObject({
  type: z.literal('input_audio'),
  input_audio: z.looseObject({ data: z.string().min(1), format: z.string() }),
});
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
const parts = z.array(z.discriminatedUnion('type', [textPart, imagePart, audioPart, refusalPart])).min(1);
const content = z.union([z.string(), parts], {
  error: ({ input }) =>
    input === undefined
      ? 'it is required'
      : 'it must be a string, or parts of type text, image_url or input_audio',
});

const toolCall = z.looseObject({
  id: z.string(),
  type: z.string(),
  function: optional(z.looseObject({ name: z.string(), arguments: z.string() })),
});

const name = optional(z.string());

const message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.literal('system'), content, name }),
  z.looseObject({ role: z.literal('developer'), content, name }),
  z.looseObject({ role: z.literal('user'), content, name }),
  z.looseObject({
    role: z.literal('assistant'),
    // Null is what OpenAI answers with beside tool calls, and some servers need the field.
    content: content.nullish(),
    name,
    tool_calls: optional(z.array(toolCall)),
  }),
  z.looseObject({ role: z.literal('tool'), content, name, tool_call_id: z.string() }),
]);
export type ChatMessage = z.output<typeof message>;

export const streamOptions = optional(z.looseObject({ include_usage: optional(z.boolean()) }));

const maxTokens = optional(integer(1, 2 ** 31 - 1));

/** Sampling parameters, shared by chat and text generation. */
export const samplingFields = {
  temperature: optional(numberIn(0, 2)),
  top_p: optional(numberIn(0, 1)),
  max_tokens: maxTokens,
  stop: optional(
    z.union([z.string(), z.array(z.string()).max(16)], {
      error: 'it must be a string, or a list of at most 16',
    }),
  ),
  seed: optional(anyInteger),
  frequency_penalty: optional(numberIn(-2, 2)),
  presence_penalty: optional(numberIn(-2, 2)),
  n: optional(integer(1, 128)),
  stream: optional(z.boolean()),
  stream_options: streamOptions,
  user: optional(z.string()),
};

export const chatInput = z.looseObject({
  messages: z.array(message).min(1, 'give at least one message'),
  ...samplingFields,
  max_completion_tokens: maxTokens,
  tools: optional(z.array(z.looseObject({ type: z.string() }))),
  tool_choice: optional(
    z.union([z.string(), z.looseObject({})], {
      error: 'it must be a string, or an object that names a tool',
    }),
  ),
  response_format: optional(z.looseObject({ type: z.string() })),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(integer(0, 20)),
});

const finishReason = z.string().nullable();

export const chatChoice = z.looseObject({
  index: z.int().nonnegative(),
  message: z.looseObject({
    role: z.literal('assistant'),
    content: z.string().nullable(),
    tool_calls: z.array(toolCall).optional(),
    reasoning_content: z.string().nullish(),
  }),
  finish_reason: finishReason,
});

export const completionChoice = z.looseObject({
  index: z.int().nonnegative(),
  text: z.string(),
  finish_reason: finishReason,
});

const completionFields = {
  id: z.string(),
  created: z.int().nonnegative(),
  model: z.string(),
  /** Absent if the provider reports no usage. Details that it reports are kept. */
  usage: z
    .looseObject({
      prompt_tokens: z.int().nonnegative(),
      completion_tokens: z.int().nonnegative(),
      total_tokens: z.int().nonnegative(),
    })
    .optional(),
};

/** Fields that the upstream adds are passed to the client. */
export const chatCompletion = z.looseObject({
  ...completionFields,
  object: z.literal('chat.completion'),
  choices: z.array(chatChoice).min(1),
});
export type ChatCompletion = z.output<typeof chatCompletion>;

export const textCompletion = z.looseObject({
  ...completionFields,
  object: z.literal('text_completion'),
  choices: z.array(completionChoice).min(1),
});
export type TextCompletion = z.output<typeof textCompletion>;
