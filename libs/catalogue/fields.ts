/** Pieces that the schemas of several kinds share. */
import { z } from 'zod';

/** Passed on as it came; blank text means nothing to a model and is refused before one sees it. */
export const text = z
  .string()
  .max(4_000_000, 'text has 4,000,000 characters at most')
  .refine((value) => value.trim() !== '', 'text is empty or blank');

export const texts = z.array(text).min(1).max(1_024);

export const seed = z.int().nonnegative().optional();

/** A score from 0 to 1 as most models give it; logits are larger. */
const score = z.number();

export const classes = z.object({ labels: z.array(z.object({ label: z.string(), score })) });

/** Pixels from the left upper corner. */
export const box = z.object({ xmin: z.number(), ymin: z.number(), xmax: z.number(), ymax: z.number() });

export const topK = z.int().min(1).max(1_000).optional();

/** How a picture is drawn, from nothing or from another. */
export const drawing = {
  negative_prompt: z.string().max(100_000).optional(),
  guidance_scale: z.number().min(0).max(100).optional(),
  num_inference_steps: z.int().min(1).max(500).optional(),
  seed,
};

export const size = z
  .string()
  .regex(/^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/, 'a size is written like 1024x1024')
  .optional();
