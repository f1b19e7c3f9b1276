/**
 * Encodes ONNX models: the part of the Protocol Buffers wire format and of the messages of onnx.proto that is needed here.
 * Sources: protobuf.dev/programming-guides/encoding, github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers).
 */

export type TensorType = 'float' | 'int8' | 'int32' | 'int64';
const typeNumber: Record<TensorType, number> = { float: 1, int8: 3, int32: 6, int64: 7 };

export interface GraphInitializer {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  /** Little-endian, as in memory on every platform of Node. */
  readonly data: Float32Array | Int8Array | Int32Array | BigInt64Array;
}

export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Integers, lists of integers, or `{ float }`. */
  readonly attributes?: Readonly<Record<string, number | readonly number[] | { readonly float: number }>>;
}

export interface GraphValue {
  readonly name: string;
  readonly type: TensorType;
  /** Numbers, or names of dimensions that vary from call to call. */
  readonly shape: readonly (number | string)[];
}

export interface Graph {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly initializers: readonly GraphInitializer[];
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

type Part = Uint8Array;

function varint(value: number): Part {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    bytes.push(left > 0n ? low | 0x80 : low);
  } while (left > 0n);
  return Uint8Array.from(bytes);
}

const tag = (field: number, wireType: number) => varint((field << 3) | wireType);
const int = (field: number, value: number): Part[] => [tag(field, 0), varint(value)];
const bytes = (field: number, value: Part): Part[] => [tag(field, 2), varint(value.length), value];
const text = (field: number, value: string): Part[] => bytes(field, new TextEncoder().encode(value));
const message = (field: number, parts: readonly Part[]): Part[] => bytes(field, Buffer.concat(parts));

function float(field: number, value: number): Part[] {
  return [tag(field, 5), new Uint8Array(Float32Array.of(value).buffer)];
}

function tensor({ name, type, shape, data }: GraphInitializer): Part[] {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [
    ...shape.flatMap((size) => int(1, size)),
    ...int(2, typeNumber[type]),
    ...text(8, name),
    ...bytes(9, raw),
  ];
}

function attribute(name: string, value: number | readonly number[] | { readonly float: number }): Part[] {
  if (typeof value === 'number') return [...text(1, name), ...int(3, value), ...int(20, 2)];
  if ('float' in value) return [...text(1, name), ...float(2, value.float), ...int(20, 1)];
  return [...text(1, name), ...value.flatMap((one) => int(8, one)), ...int(20, 7)];
}

function node({ op, inputs, outputs, attributes = {} }: GraphNode): Part[] {
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) => message(5, attribute(name, value))),
  ];
}

function valueInfo({ name, type, shape }: GraphValue): Part[] {
  const sizes = shape.flatMap((size) => message(1, typeof size === 'number' ? int(1, size) : text(2, size)));
  return [...text(1, name), ...message(2, message(1, [...int(1, typeNumber[type]), ...message(2, sizes)]))];
}

/** Operator set 17 is the first with LayerNormalization. */
const opset = 17;
const irVersion = 8;

/** @returns the bytes of a ModelProto. The same graph gives the same bytes. */
export function encodeModel(graph: Graph): Uint8Array {
  const parts = [
    ...graph.nodes.flatMap((one) => message(1, node(one))),
    ...text(2, graph.name),
    ...graph.initializers.flatMap((one) => message(5, tensor(one))),
    ...graph.inputs.flatMap((one) => message(11, valueInfo(one))),
    ...graph.outputs.flatMap((one) => message(12, valueInfo(one))),
  ];
  return Buffer.concat([
    ...int(1, irVersion),
    ...text(2, 'millrace'),
    ...message(7, parts),
    ...message(8, int(2, opset)),
  ]);
}
