/** Finds the file with a model's weights. File names: transformers.js, `src/utils/dtypes.js`. */
import { modelUnsupported } from './failures.ts';
import { getFileBytes, type ModelFiles } from './model-files.ts';

const suffixes: Record<string, string> = {
  fp32: '',
  fp16: '_fp16',
  int8: '_int8',
  uint8: '_uint8',
  q8: '_quantized',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
};

/** `transformers.js_config` of the model's `config.json`. */
interface WeightsConfig {
  readonly dtype?: string | undefined;
  readonly use_external_data_format?: boolean | number | Record<string, unknown> | undefined;
}

export interface Weights {
  readonly dtype: string;
  /** Size of one copy. */
  readonly bytes: number;
}

/** @param dtype `auto`: the dtype that the model names, else fp32, else q8. @throws ProviderFailure */
export async function findWeights(
  files: ModelFiles,
  dtype: string,
  config: WeightsConfig | undefined,
): Promise<Weights> {
  const candidates = dtype === 'auto' ? [config?.dtype ?? 'fp32', 'fp32', 'q8'] : [dtype];
  for (const candidate of candidates) {
    const path = buildPath(candidate);
    if (!(await files.has(path))) continue;
    const bytes = await getFileBytes(files, path);
    const externalBytes = await getExternalBytes(files, path, config?.use_external_data_format);
    return { dtype: candidate, bytes: bytes + externalBytes };
  }
  throw modelUnsupported(files.model, `it has no ONNX weights of this dtype (${buildPath(candidates[0]!)})`);
}

const buildPath = (dtype: string) => `onnx/model${suffixes[dtype] ?? ''}.onnx`;

/** Weights that are too large for one protobuf are in one or more files beside it. */
async function getExternalBytes(
  files: ModelFiles,
  path: string,
  format: WeightsConfig['use_external_data_format'],
): Promise<number> {
  if (!format) return 0;
  const count = typeof format === 'number' ? format : 1;
  let bytes = 0;
  for (let at = 0; at < count; at++) {
    const dataPath = `${path}_data${at > 0 ? `_${at}` : ''}`;
    if (await files.has(dataPath)) bytes += await getFileBytes(files, dataPath);
  }
  return bytes;
}
