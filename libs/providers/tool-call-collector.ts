/**
 * Assembles tool calls from the deltas of a stream. Servers number them in different ways, so the rules are:
 *
 * - An id that was seen continues that call. A new id begins a call, even under an index that is in use.
 * - Without an id, the index continues the last call with this index, and a new index begins a call.
 * - Without both, the last call is continued, unless the delta names a function and the last call has its arguments.
 * - A name that is repeated is not joined. Arguments that are an object are written as JSON.
 * - Calls without an id get one. Calls are numbered again, so that a client that joins by index gets the same calls.
 */
import { isObject, readArguments, type Fields } from './completion-choices.ts';

interface ToolCall {
  readonly id: string;
  /** As the server sent them. undefined: not sent. */
  readonly sentId: string | undefined;
  readonly sentIndex: number | undefined;
  type: string;
  name: string;
  arguments: string;
  others: Fields;
  functionOthers: Fields;
}

export class ToolCallCollector {
  private readonly calls: ToolCall[] = [];

  get isEmpty(): boolean {
    return this.calls.length === 0;
  }

  /** @returns the deltas to forward. */
  add(deltas: readonly Fields[]): Fields[] {
    return deltas.map((delta) => this.addOne(delta));
  }

  build(): Fields[] {
    return this.calls.map(({ id, type, name, arguments: text, others, functionOthers }) => ({
      ...others,
      id,
      type,
      function: { ...functionOthers, name, arguments: text || '{}' },
    }));
  }

  private addOne(delta: Fields): Fields {
    const { id, index, type, function: given, ...others } = delta;
    const called = isObject(given) ? given : {};
    const { name, arguments: args, ...functionOthers } = called;
    const text = readArguments(args);
    const sentId = typeof id === 'string' && id !== '' ? id : undefined;
    const sentIndex = typeof index === 'number' ? index : undefined;
    const sentName = typeof name === 'string' ? name : '';
    const known = this.find(sentId, sentIndex, sentName);
    const call = known ?? this.begin(sentId, sentIndex);
    const newName = call.name.endsWith(sentName) ? '' : sentName;
    call.name += newName;
    call.arguments += text;
    call.others = { ...call.others, ...others };
    call.functionOthers = { ...call.functionOthers, ...functionOthers };
    if (typeof type === 'string' && type !== '') call.type = type;
    return {
      index: this.calls.indexOf(call),
      ...(!known && { id: call.id, type: call.type }),
      ...others,
      function: { ...functionOthers, ...(newName !== '' && { name: newName }), arguments: text },
    };
  }

  private find(id: string | undefined, index: number | undefined, name: string): ToolCall | undefined {
    if (id !== undefined) return this.calls.findLast(({ sentId }) => sentId === id);
    if (index !== undefined) return this.calls.findLast(({ sentIndex }) => sentIndex === index);
    const last = this.calls.at(-1);
    return last && name !== '' && last.arguments !== '' ? undefined : last;
  }

  private begin(sentId: string | undefined, sentIndex: number | undefined): ToolCall {
    const call: ToolCall = {
      id: sentId ?? `call_${this.calls.length}`,
      sentId,
      sentIndex,
      type: 'function',
      name: '',
      arguments: '',
      others: {},
      functionOthers: {},
    };
    this.calls.push(call);
    return call;
  }
}
