/** Fields that the schemas of several kinds share. */
import { z } from 'zod';
import { optional, storedText } from '@millrace/contracts';

/** Text is passed on unchanged. Blank text has no meaning to a model, so it is refused before a model gets it. */
export const text = z.string().max(4_000_000).regex(/\S/, 'it is empty or blank');

export const texts = z.array(text).min(1).max(1_024);

/** Passed on as written: some models take 64 bits. */
export const seed = optional(
  z
    .number()
    .min(0)
    .refine((value) => Number.isInteger(value), 'it must be a whole number')
    .meta({ type: 'integer' }),
);

/** From 0 to 1 for most models. Some return logits, which can be larger. */
const score = z.number();

export const classificationOutput = z.object({ labels: z.array(z.object({ label: z.string(), score })) });

/** Pixels from the top left corner. */
export const boundingBox = z.object({
  xmin: z.number(),
  ymin: z.number(),
  xmax: z.number(),
  ymax: z.number(),
});

export const topK = optional(z.int().min(1).max(1_000));

/** Parameters of image generation, with or without an input image. */
export const imageGenerationFields = {
  negative_prompt: optional(z.string().max(100_000)),
  guidance_scale: optional(z.number().min(0).max(100)),
  num_inference_steps: optional(z.int().min(1).max(500)),
  seed,
  user: optional(storedText(0, 512)),
};

/** How OpenAI's clients want images: Millrace answers in the endpoint's own form, and providers may be asked for either. */
export const responseFormat = optional(z.enum(['url', 'b64_json']));

export const size = optional(
  z.string().regex(/^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/, 'it must be written like 1024x1024'),
);

/** Up to an hour. A form and OpenAI's clients write the number as text. */
export const videoSeconds = optional(
  z
    .union(
      [
        z.number().positive().max(3_600),
        z.string().regex(/^(?:0\.\d{0,2}[1-9]|(?:[1-9]\d{0,2}|[12]\d{3}|3[0-5]\d{2})(?:\.\d{1,3})?|3600)$/),
      ],
      { error: 'it must be a number of seconds, more than 0 and at most 3,600' },
    )
    .transform(Number),
);
