/**
 * Builds the demo embedder. A token's vector is a fixed direction multiplied by a weight, and a text's vector is the mean of
 * its tokens' vectors. About 2,000 English words have directions by topic and meaning. Other words are split into pairs
 * of letters.
 */
import { encodeModel } from './onnx.ts';
import { maxTokens, buildSentenceTransformersFiles, buildTokenizerFiles } from './tokenizer.ts';
import { dimensions, buildLexicon, type Lexicon } from './words.ts';

/** @returns the model's files by path. Every call returns the same bytes. */
export function buildDemoEmbedder(): Map<string, Uint8Array> {
  const knowledge = buildLexicon();
  const vocabSize = knowledge.pieces.length;
  const config = {
    architectures: ['BertModel'],
    model_type: 'bert',
    vocab_size: vocabSize,
    hidden_size: dimensions,
    num_hidden_layers: 0,
    num_attention_heads: 1,
    max_position_embeddings: maxTokens,
    pad_token_id: 0,
  };
  const json = {
    'config.json': config,
    ...buildTokenizerFiles(knowledge.pieces.map(({ text }) => text)),
    ...buildSentenceTransformersFiles(dimensions),
  };
  const files = new Map<string, Uint8Array>();
  for (const [path, content] of Object.entries(json)) {
    // On one line: indentation would be most of the file.
    const indent = path === 'tokenizer.json' ? undefined : 2;
    files.set(path, new TextEncoder().encode(`${JSON.stringify(content, null, indent)}\n`));
  }
  return files.set('onnx/model.onnx', encodeModel(buildGraph(knowledge)));
}

function buildGraph({ pieces, rows }: Lexicon) {
  const names = [...rows.keys()];
  const rowNumber = new Map(names.map((name, at) => [name, at]));
  const table = new Int8Array(names.length * dimensions);
  const scales = names.map((name, at) => quantise(rows.get(name)!, table, at * dimensions));
  const rowOf = Int32Array.from(pieces, ({ row }) => rowNumber.get(row)!);
  const factors = Float32Array.from(pieces, ({ row, weight }) => weight * scales[rowNumber.get(row)!]!);
  const batch = ['batch', 'sequence'];
  return {
    name: 'demo-embedder',
    inputs: [
      { name: 'input_ids', type: 'int64', shape: batch },
      { name: 'attention_mask', type: 'int64', shape: batch },
    ],
    outputs: [{ name: 'last_hidden_state', type: 'float', shape: [...batch, dimensions] }],
    initializers: [
      { name: 'row_of_piece', type: 'int32', shape: [rowOf.length], data: rowOf },
      { name: 'factor_of_piece', type: 'float', shape: [factors.length], data: factors },
      { name: 'rows', type: 'int8', shape: [names.length, dimensions], data: table },
      { name: 'last_axis', type: 'int64', shape: [1], data: BigInt64Array.of(-1n) },
    ],
    nodes: [
      { op: 'Gather', inputs: ['row_of_piece', 'input_ids'], outputs: ['row'] },
      { op: 'Gather', inputs: ['rows', 'row'], outputs: ['small'] },
      { op: 'Cast', inputs: ['small'], outputs: ['direction'], attributes: { to: 1 } },
      { op: 'Gather', inputs: ['factor_of_piece', 'input_ids'], outputs: ['factor'] },
      { op: 'Cast', inputs: ['attention_mask'], outputs: ['mask'], attributes: { to: 1 } },
      { op: 'Mul', inputs: ['factor', 'mask'], outputs: ['masked'] },
      { op: 'Unsqueeze', inputs: ['masked', 'last_axis'], outputs: ['column'] },
      { op: 'Mul', inputs: ['direction', 'column'], outputs: ['last_hidden_state'] },
    ],
  } satisfies Parameters<typeof encodeModel>[0];
}

/** Writes the vector as 8-bit integers. @returns the factor that restores it */
function quantise(vector: Float64Array, into: Int8Array, from: number): number {
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  vector.forEach((value, at) => (into[from + at] = Math.round((value / largest) * 127)));
  return largest / 127;
}
