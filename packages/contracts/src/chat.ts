/** `/v1/chat/completions` and `/v1/completions`, in OpenAI's shape. Unknown fields are passed to the model. */
import { z } from 'zod';

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });
const imagePart = z.looseObject({
  type: z.literal('image_url'),
  /** An https URL or a data URI, as with OpenAI; also the id of an uploaded file. */
  image_url: z.looseObject({ url: z.string().min(1), detail: z.enum(['auto', 'low', 'high']).optional() }),
});
const audioPart = z.looseObject({
  type: z.literal('input_audio'),
  input_audio: z.looseObject({ data: z.string().min(1), format: z.string() }),
});
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
const parts = z.array(z.discriminatedUnion('type', [textPart, imagePart, audioPart, refusalPart])).min(1);
const content = z.union([z.string(), parts], {
  error: 'content is a string, or parts of type text, image_url or input_audio',
});

const toolCall = z.looseObject({
  id: z.string(),
  type: z.string(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }).optional(),
});

const message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.literal('system'), content, name: z.string().optional() }),
  z.looseObject({ role: z.literal('developer'), content, name: z.string().optional() }),
  z.looseObject({ role: z.literal('user'), content, name: z.string().optional() }),
  z.looseObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    tool_calls: z.array(toolCall).optional(),
  }),
  z.looseObject({ role: z.literal('tool'), content, tool_call_id: z.string() }),
]);
export type ChatMessage = z.output<typeof message>;

export const streamOptions = z.looseObject({ include_usage: z.boolean().optional() }).nullish();

/** Sampling parameters, shared by chat and text generation. */
export const samplingFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_tokens: z.int().positive().nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(16)]).nullish(),
  seed: z.int().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  n: z.int().min(1).max(128).nullish(),
  stream: z.boolean().nullish(),
  stream_options: streamOptions,
  user: z.string().optional(),
};

export const chatInput = z.looseObject({
  messages: z.array(message).min(1, 'give at least one message'),
  ...samplingFields,
  max_completion_tokens: z.int().positive().nullish(),
  tools: z.array(z.looseObject({ type: z.string() })).optional(),
  tool_choice: z.union([z.string(), z.looseObject({})]).optional(),
  response_format: z.looseObject({ type: z.string() }).optional(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
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
