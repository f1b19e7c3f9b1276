/**
 * Builds a BERT encoder of MiniLM's size (6 layers, width 384, 12 heads, 30,522 pieces) with random weights, for
 * benchmarks: its vectors have no meaning, its speed is that of the real model. Architecture: Devlin et al., "BERT" (2018); sizes: Wang et al.,
 * "MiniLM" (2020) and sentence-transformers/all-MiniLM-L6-v2.
 */
import { encodeModel, type GraphNode, type GraphInitializer } from './onnx.ts';
import { createRandom, hashSeed } from './random.ts';
import { maxTokens, buildSentenceTransformersFiles, buildTokenizerFiles } from './tokenizer.ts';
import { buildLexicon } from './words.ts';

const size = { layers: 6, width: 384, heads: 12, inner: 1_536, pieces: 30_522 };
const headWidth = size.width / size.heads;

/** @returns the model's files by path, about 90 MB. */
export function buildRandomEncoder(): Map<string, Uint8Array> {
  const config = {
    architectures: ['BertModel'],
    model_type: 'bert',
    vocab_size: size.pieces,
    hidden_size: size.width,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    intermediate_size: size.inner,
    max_position_embeddings: maxTokens,
    pad_token_id: 0,
  };
  const json = {
    'config.json': config,
    ...buildTokenizerFiles(pieces()),
    ...buildSentenceTransformersFiles(size.width),
  };
  const files = new Map<string, Uint8Array>();
  for (const [path, content] of Object.entries(json)) files.set(path, Buffer.from(JSON.stringify(content)));
  return files.set('onnx/model.onnx', encodeModel(new Encoder().graph()));
}

/** The pieces of the demo embedder, filled up to MiniLM's number with unused ones. */
function pieces(): string[] {
  const all = buildLexicon().pieces.map(({ text }) => text);
  for (let at = 0; all.length < size.pieces; at++) all.push(`##unused${at}`);
  return all.slice(0, size.pieces);
}

class Encoder {
  private readonly nodes: GraphNode[] = [];
  private readonly weights: GraphInitializer[] = [];
  private count = 0;

  graph() {
    const batch = ['batch', 'sequence'];
    this.constants();
    let state = this.embed();
    for (let layer = 0; layer < size.layers; layer++) state = this.layer(state, layer);
    this.nodes.push({ op: 'Identity', inputs: [state], outputs: ['last_hidden_state'] });
    const inputs = ['input_ids', 'attention_mask', 'token_type_ids'] as const;
    return {
      name: 'random-encoder',
      nodes: this.nodes,
      initializers: this.weights,
      inputs: inputs.map((name) => ({ name, type: 'int64', shape: batch }) as const),
      outputs: [{ name: 'last_hidden_state', type: 'float', shape: [...batch, size.width] } as const],
    };
  }

  private op(op: string, inputs: readonly string[], attributes?: GraphNode['attributes']): string {
    const output = `${op.toLowerCase()}_${++this.count}`;
    this.nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  /** Random weights with the range of BERT's initialization. */
  private weight(name: string, ...shape: number[]): string {
    const next = createRandom(hashSeed(name));
    const data = new Float32Array(shape.reduce((product, one) => product * one, 1));
    for (let at = 0; at < data.length; at++) data[at] = next() * 0.035;
    this.weights.push({ name, type: 'float', shape, data });
    return name;
  }

  private constant(name: string, type: 'float' | 'int64', ...values: number[]): void {
    const data = type === 'float' ? Float32Array.from(values) : BigInt64Array.from(values, BigInt);
    this.weights.push({
      name,
      type,
      shape: values.length === 1 && type === 'float' ? [] : [values.length],
      data,
    });
  }

  private constants(): void {
    this.constant('one', 'float', 1);
    this.constant('half', 'float', 0.5);
    this.constant('root_of_2', 'float', Math.SQRT2);
    this.constant('lowest', 'float', -10_000);
    this.constant('root_of_head_width', 'float', Math.sqrt(headWidth));
    this.constant('axes_1_2', 'int64', 1, 2);
    this.constant('zero_at', 'int64', 0);
    this.constant('one_at', 'int64', 1);
    this.constant('two_at', 'int64', 2);
    this.constant('as_heads', 'int64', 0, 0, size.heads, headWidth);
    this.constant('as_one', 'int64', 0, 0, size.width);
  }

  private embed(): string {
    const word = this.op('Gather', [this.weight('word', size.pieces, size.width), 'input_ids']);
    const type = this.op('Gather', [this.weight('type', 2, size.width), 'token_type_ids']);
    const shape = this.op('Shape', ['input_ids']);
    const length = this.op('Slice', [shape, 'one_at', 'two_at', 'zero_at']);
    const position = this.op('Slice', [
      this.weight('position', maxTokens, size.width),
      'zero_at',
      length,
      'zero_at',
    ]);
    const sum = this.op('Add', [this.op('Add', [word, type]), position]);
    const mask = this.op('Cast', [this.op('Unsqueeze', ['attention_mask', 'axes_1_2'])], { to: 1 });
    const away = this.op('Sub', ['one', mask]);
    this.nodes.push({ op: 'Mul', inputs: [away, 'lowest'], outputs: ['attention_bias'] });
    return this.norm(sum, 'embeddings');
  }

  private norm(input: string, name: string): string {
    const scale = `${name}.scale`;
    const data = new Float32Array(size.width).fill(1);
    this.weights.push({ name: scale, type: 'float', shape: [size.width], data });
    const bias = this.weight(`${name}.bias`, size.width);
    return this.op('LayerNormalization', [input, scale, bias], { axis: -1, epsilon: { float: 1e-12 } });
  }

  private dense(input: string, name: string, from: number, to: number): string {
    const product = this.op('MatMul', [input, this.weight(name, from, to)]);
    return this.op('Add', [product, this.weight(`${name}.bias`, to)]);
  }

  private heads(input: string, name: string, perm: readonly number[]): string {
    const all = this.dense(input, name, size.width, size.width);
    return this.op('Transpose', [this.op('Reshape', [all, 'as_heads'])], { perm });
  }

  private layer(input: string, layer: number): string {
    const query = this.heads(input, `${layer}.query`, [0, 2, 1, 3]);
    const key = this.heads(input, `${layer}.key`, [0, 2, 3, 1]);
    const value = this.heads(input, `${layer}.value`, [0, 2, 1, 3]);
    const scores = this.op('Div', [this.op('MatMul', [query, key]), 'root_of_head_width']);
    const shares = this.op('Softmax', [this.op('Add', [scores, 'attention_bias'])], { axis: -1 });
    const mixed = this.op('Transpose', [this.op('MatMul', [shares, value])], { perm: [0, 2, 1, 3] });
    const attended = this.dense(
      this.op('Reshape', [mixed, 'as_one']),
      `${layer}.out`,
      size.width,
      size.width,
    );
    const middle = this.norm(this.op('Add', [attended, input]), `${layer}.norm`);
    const inner = this.dense(middle, `${layer}.inner`, size.width, size.inner);
    const outer = this.dense(this.gelu(inner), `${layer}.outer`, size.inner, size.width);
    return this.norm(this.op('Add', [outer, middle]), `${layer}.last`);
  }

  /** x · ½ · (1 + erf(x / √2)) */
  private gelu(input: string): string {
    const erf = this.op('Erf', [this.op('Div', [input, 'root_of_2'])]);
    return this.op('Mul', [this.op('Mul', [input, this.op('Add', [erf, 'one'])]), 'half']);
  }
}
