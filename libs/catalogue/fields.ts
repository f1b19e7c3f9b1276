/** Fields that the schemas of several kinds share. */
import { z } from 'zod';

/** Text is passed on unchanged. Blank text has no meaning to a model, so it is refused before a model gets it. */
export const text = z
  .string()
  .max(4_000_000, 'text has at most 4,000,000 characters')
  .refine((value) => value.trim() !== '', 'text is empty or blank');

export const texts = z.array(text).min(1).max(1_024);

export const seed = z.int().nonnegative().optional();

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

export const topK = z.int().min(1).max(1_000).optional();

/** Parameters of image generation, with or without an input image. */
export const imageGenerationFields = {
  negative_prompt: z.string().max(100_000).optional(),
  guidance_scale: z.number().min(0).max(100).optional(),
  num_inference_steps: z.int().min(1).max(500).optional(),
  seed,
};

export const size = z
  .string()
  .regex(/^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/, 'a size is written like 1024x1024')
  .optional();
