/** What the parts of the conformance suite share: the storage under test, and bodies. */
import type { ObjectStorage } from '#storage';

export interface StorageUnderTest {
  readonly objects: ObjectStorage;
  /** Returns how many unfinished objects the storage still has, visible or not. */
  countUnfinished(): Promise<number>;
  cleanup(): Promise<void>;
  /** Size of a body in MB, and by how many MB memory may grow when it is put. @default 100 and 60 */
  readonly memoryLimit?: { readonly bodyMB: number; readonly growthMB: number };
}

export const fails = (code: string) => expect.objectContaining({ code });

export const text = (value: string): Buffer => Buffer.from(value);

export async function listKeys(objects: ObjectStorage, prefix = '', after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list(prefix, after === undefined ? {} : { after })) keys.push(key);
  return keys;
}

export async function* repeat(chunk: Uint8Array, times: number): AsyncGenerator<Uint8Array> {
  for (let time = 0; time < times; time++) yield chunk;
}

/** A body that stalls after its first chunk, like an upload whose client sends nothing more. `waiting`: it stalls now. */
export function stall(first: Uint8Array): { body: AsyncIterable<Uint8Array>; waiting: Promise<void> } {
  const { promise: waiting, resolve } = Promise.withResolvers<void>();
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield first;
    resolve();
    await new Promise(() => undefined);
  }
  return { body: chunks(), waiting };
}
