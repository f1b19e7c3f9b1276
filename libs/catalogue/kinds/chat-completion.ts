/** Generates the next message of a chat, as `/v1/chat/completions`. Messages may hold images if the model accepts them. */
import { z } from 'zod';
import { chatChoice, chatInput } from '@millrace/contracts';
import { buildCompletion } from '../completion.ts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { listMessageImages } from '../image-parts.ts';
import { textGenerationLimits } from '../limits.ts';

export const chatCompletion = defineSingleCallKind({
  id: 'chat-completion',
  title: 'Chat',
  modalities: { in: ['text', 'image'], out: ['text'] },
  limits: textGenerationLimits,
  input: chatInput,
  output: z.looseObject({ choices: z.array(chatChoice).min(1) }),
  streams: true,
  listMediaFields: ({ messages }) => listMessageImages(messages),
  toResponse: buildCompletion('chatcmpl', 'chat.completion'),
  examples: [
    {
      model: 'sandbox/chat-completion',
      input: { messages: [{ role: 'user', content: 'Why does the mill turn?' }] },
      options: { max_tokens: 32 },
    },
  ],
});
