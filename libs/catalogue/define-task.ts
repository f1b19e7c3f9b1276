/** A kind whose lines are a call each: its schemas, and all that follows from them. */
import { z } from 'zod';
import { metadataSchema } from '@millrace/contracts';
import { ProviderFailure, type ChunkLimits } from '#domain';
import type { Answer, Example, Kind, Modality, Usage } from './kind.ts';
import {
  detachMedia,
  type Media,
  type MediaRule,
  type MediaSlot,
  type Produced,
  type Resolved,
} from './media.ts';

/** What a provider may say of any answer, beside the answer. */
export interface Report {
  /** Tokens, as the provider counted them. */
  readonly usage?: Usage;
  /** Set where no model stood behind it. */
  readonly simulated?: boolean;
}

/** Options for the sandbox; other providers ignore them. */
interface Labels {
  readonly metadata?: Record<string, string> | null;
}

interface Definition<Input extends z.ZodType, Output extends z.ZodObject> {
  readonly id: string;
  readonly title: string;
  readonly modalities: { readonly in: readonly Modality[]; readonly out: readonly Modality[] };
  readonly endpoint?: string;
  readonly input: Input;
  readonly output: Output;
  readonly limits: {
    readonly timeoutMs: number;
    readonly longestMs: number;
    readonly chunk: ChunkLimits;
    readonly answerBytes: number;
  };
  readonly streams?: boolean;
  /** Fields of the input that hold media. */
  readonly media?: Readonly<Record<string, MediaRule>>;
  /** Media that stand deeper. */
  readonly slots?: (body: z.output<Input>) => MediaSlot[];
  /** Makes the wire's answer where it is more than the output. */
  readonly wire?: (output: Produced<z.output<Output>> & Report, body: { model: string }) => object;
  readonly work?: (body: z.output<Input>) => number;
  readonly examples: readonly [Example, ...Example[]];
}

export type TaskBody<Input> = Input & Labels & { readonly model: string };
export type TaskInput<Input> = Resolved<Input> & Labels;
export type TaskOutput<Output> = Produced<Output> & Report;

const labels = z.object({ model: z.string().min(1).max(256), metadata: metadataSchema.nullish() });

/** Answers up to this size stand in the task's row. */
export const inlineBytes = 64 * 2 ** 10;

export function defineTask<Input extends z.ZodType, Output extends z.ZodObject>(
  task: Definition<Input, Output>,
): Kind<TaskBody<z.output<Input>>, TaskInput<z.output<Input>>, TaskOutput<z.output<Output>>> {
  const { limits, media = {}, slots, wire, streams = false, input, output } = task;
  const { answerBytes, ...times } = limits;
  const { id, title, modalities, endpoint, examples, work } = task;
  const fields = Object.entries(media);
  return {
    ...{ id, title, modalities, endpoint, examples, input, output, streams, ...(work && { work }) },
    ...times,
    result: { inlineBytes },
    body: z.intersection(labels, input),
    toInput({ model: _, ...rest }) {
      return rest as TaskInput<z.output<Input>>;
    },
    media(body) {
      const values = body as Record<string, unknown>;
      const named = fields.flatMap(([param, rule]) => slotsOf(values, param, rule));
      return slots ? [...named, ...slots(body)] : named;
    },
    answerBytes: () => answerBytes,
    answer(given, body): Answer {
      const { usage = { inputTokens: 0, outputTokens: 0 }, simulated, ...rest } = given;
      const attached: Media[] = [];
      const detached = detachMedia(rest, attached);
      const checked = output.safeParse(detached);
      if (!checked.success) throw invalid(checked.error.issues[0]!);
      const shown = wire ? wire({ ...given, ...(detached as object) }, body) : (detached as object);
      const note = simulated && { millrace: { simulated } };
      const json = JSON.stringify({ ...shown, ...note });
      return { json, usage: { ...made(attached, modalities.out), ...usage }, media: attached };
    },
  };
}

/** What of an answer's media is counted: a film's first picture and a region's mask are no images of their own. */
function made(media: readonly Media[], out: readonly Modality[]): Pick<Usage, 'images' | 'seconds'> {
  const images = out.includes('image') ? media.filter(({ type }) => type.startsWith('image/')).length : 0;
  const seconds = media.reduce((sum, { seconds: length = 0 }) => sum + length, 0);
  return { ...(images > 0 && { images }), ...(seconds > 0 && { seconds }) };
}

/** A field with one source, a list of them, or none. */
function slotsOf(values: Record<string, unknown>, param: string, rule: MediaRule): MediaSlot[] {
  const value = values[param];
  if (typeof value === 'string') {
    return [{ param, rule, source: value, put: (media) => (values[param] = media) }];
  }
  if (!Array.isArray(value)) return [];
  return value.map((source: string, at) => ({
    param: `${param}.${at}`,
    rule,
    source,
    put: (media) => (value[at] = media),
  }));
}

const invalid = ({ path, message }: { path: PropertyKey[]; message: string }) =>
  new ProviderFailure(`The model's answer does not fit: ${path.map(String).join('.')} ${message}.`, {
    code: 'invalid_output',
    status: 502,
    retryable: false,
  });
