/** Messages to the next message, as `/v1/chat/completions`; images in the messages where the model sees. */
import { z } from 'zod';
import { chatChoice, chatInput } from '@millrace/contracts';
import { completionOf } from '../completion.ts';
import { defineTask } from '../define-task.ts';
import { imagesOf } from '../image-parts.ts';
import { generation } from '../limits.ts';

export const chatCompletion = defineTask({
  id: 'chat-completion',
  title: 'Chat',
  modalities: { in: ['text', 'image'], out: ['text'] },
  endpoint: '/v1/chat/completions',
  limits: generation,
  input: chatInput,
  output: z.looseObject({ choices: z.array(chatChoice).min(1) }),
  streams: true,
  slots: ({ messages }) => imagesOf(messages),
  wire: completionOf('chatcmpl', 'chat.completion'),
  examples: [
    {
      model: 'sandbox/chat-completion',
      input: { messages: [{ role: 'user', content: 'Why does the mill turn?' }] },
      options: { max_tokens: 32 },
    },
  ],
});
