/** Builds a kind whose lines are one provider call each, from its schemas and limits. */
import type { z } from 'zod';
import { metadataSchema, modelName, optional, providerOptions } from '@millrace/contracts';
import { ProviderFailure, type ChunkLimits } from '#domain';
import type { Answer, Example, Kind, Modality, Usage } from './kind.ts';
import {
  detachMedia,
  type Media,
  type MediaRule,
  type MediaField,
  type Produced,
  type Resolved,
} from './media.ts';

/** What a provider may report with any answer. */
export interface ProviderReport {
  /** As counted by the provider. */
  readonly usage?: Usage;
  /** The usage in the provider's own format, for answers that carry it. */
  readonly reportedUsage?: Readonly<Record<string, unknown>>;
  /** True if no model computed the answer (sandbox). */
  readonly simulated?: boolean;
}

/** Metadata may carry options for the sandbox. Other providers ignore it. */
interface RequestLabels {
  readonly metadata?: Record<string, string> | null;
}

interface Definition<Input extends z.ZodObject, Output extends z.ZodObject> {
  readonly id: string;
  readonly title: string;
  readonly modalities: { readonly in: readonly Modality[]; readonly out: readonly Modality[] };
  readonly input: Input;
  readonly output: Output;
  readonly limits: {
    readonly timeoutMs: number;
    readonly maxTimeoutMs: number;
    readonly chunk: ChunkLimits;
    readonly answerBytes: number;
  };
  readonly streams?: boolean;
  /** Fields of the input that hold media. */
  readonly media?: Readonly<Record<string, MediaRule>>;
  /** Media that are nested deeper, e.g. in messages. */
  readonly listMediaFields?: (body: z.output<Input>) => MediaField[];
  /** Builds the response body, if it is more than the output. */
  readonly toResponse?: (
    output: Produced<z.output<Output>> & ProviderReport,
    body: { model: string },
  ) => object;
  readonly estimateWork?: (body: z.output<Input>) => number;
  readonly examples: readonly [Example, ...Example[]];
}

/** Options of the model itself, which a provider gets beside the kind's own fields. Kinds that take any field have none. */
interface ProviderOptions {
  readonly provider?: Readonly<Record<string, unknown>> | undefined;
}

export type TaskBody<Input> = Input & RequestLabels & ProviderOptions & { readonly model: string };
export type TaskInput<Input> = Resolved<Input> & RequestLabels;
export type TaskOutput<Output> = Produced<Output> & ProviderReport;

/** Fields of every kind's body beside its input. */
export const requestLabels = { model: modelName, metadata: optional(metadataSchema) };

/** An answer up to this size is stored in the task's row. */
export const maxInlineBytes = 64 * 2 ** 10;

export function defineSingleCallKind<Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: Definition<Input, Output>,
): Kind<TaskBody<z.output<Input>>, TaskInput<z.output<Input>>, TaskOutput<z.output<Output>>> {
  const { limits, media = {}, listMediaFields, toResponse, streams = false, output } = definition;
  // A kind that takes any field takes the model's own options there.
  const catchall = definition.input.def.catchall as z.ZodType | undefined;
  const takesProviderOptions = catchall?.def.type !== 'unknown';
  const input = takesProviderOptions
    ? definition.input.safeExtend({ provider: providerOptions })
    : definition.input;
  const { answerBytes, ...times } = limits;
  const { id, title, modalities, examples, estimateWork } = definition;
  const fields = Object.entries(media);
  return {
    ...{ id, title, modalities, examples, input, output, streams, ...(estimateWork && { estimateWork }) },
    ...times,
    result: { maxInlineBytes },
    body: input.safeExtend(requestLabels) as unknown as z.ZodType<TaskBody<z.output<Input>>>,
    toInput({ model: _, ...rest }) {
      const { provider, ...fields } = rest as ProviderOptions;
      // The kind's own fields go before options of the same name.
      const flat = takesProviderOptions && provider ? { ...provider, ...fields } : rest;
      return flat as TaskInput<z.output<Input>>;
    },
    listMediaFields(body) {
      const values = body as Record<string, unknown>;
      const topLevel = fields.flatMap(([param, rule]) => listFieldMedia(values, param, rule));
      return listMediaFields ? [...topLevel, ...listMediaFields(body)] : topLevel;
    },
    estimateAnswerBytes: () => answerBytes,
    buildAnswer(produced, body): Answer {
      const { usage, reportedUsage: _, simulated, ...rest } = produced;
      const counted: Usage = usage ?? { inputTokens: 0, outputTokens: 0 };
      const attached: Media[] = [];
      const detached = detachMedia(rest, attached);
      const parsed = output.safeParse(detached);
      if (!parsed.success) throw buildInvalidOutput(parsed.error.issues[0]!);
      const response = toResponse
        ? toResponse({ ...produced, ...(detached as object) }, body)
        : (detached as object);
      const note = simulated && { millrace: { simulated } };
      const json = JSON.stringify({ ...response, ...note });
      return { json, usage: { ...countMedia(attached, modalities.out), ...counted }, media: attached };
    },
  };
}

/** Counts the media that are the kind's output: not a video's thumbnail or a region's mask. */
function countMedia(media: readonly Media[], out: readonly Modality[]): Pick<Usage, 'images' | 'seconds'> {
  const images = out.includes('image') ? media.filter(({ type }) => type.startsWith('image/')).length : 0;
  const seconds = media.reduce((sum, { seconds: length = 0 }) => sum + length, 0);
  return { ...(images > 0 && { images }), ...(seconds > 0 && { seconds }) };
}

/** @returns the media of a field that holds one source, a list of sources, or none. */
function listFieldMedia(values: Record<string, unknown>, param: string, rule: MediaRule): MediaField[] {
  const value = values[param];
  if (typeof value === 'string') {
    return [{ param, rule, source: value, replace: (media) => (values[param] = media) }];
  }
  if (!Array.isArray(value)) return [];
  return value.map((source: string, index) => ({
    param: `${param}.${index}`,
    rule,
    source,
    replace: (media) => (value[index] = media),
  }));
}

const buildInvalidOutput = ({ path, message }: { path: PropertyKey[]; message: string }) =>
  new ProviderFailure(`The model's answer is invalid: ${path.map(String).join('.')} ${message}.`, {
    code: 'invalid_output',
    status: 502,
    retryable: false,
  });
