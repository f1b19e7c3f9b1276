/** A model's files: on this machine, or downloaded from the Hub when they are first needed. */
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { downloadFile } from './download-file.ts';
import { modelDamaged, modelNotFound } from './failures.ts';
import { findModelFolder } from './model-names.ts';
import type { LocalOptions } from './options.ts';

export interface ModelFiles {
  readonly model: string;
  readonly folder: string;
  /** Downloads the file if necessary. @returns whether the model has it. @throws ProviderFailure */
  has(path: string): Promise<boolean>;
  /** Called after `has` was called for all files. */
  markComplete?(): Promise<void>;
}

/** Marks a model whose every file was requested once. For it, the Hub is asked for weights only. */
const completeMarker = '.whole';

/** @throws ProviderFailure if the model is not on this machine and its name is not one of the Hub. */
export function openModelFiles(model: string, options: LocalOptions): ModelFiles {
  const localFolder = findModelFolder(model, options);
  if (localFolder) {
    return { model, folder: localFolder, has: async (path) => existsSync(join(localFolder, path)) };
  }
  if (!model.includes('/')) throw modelNotFound(model);
  const folder = join(options.folder, '.hub', model);
  const hubModel = { model, hub: options.hub, folder };
  const isComplete = existsSync(join(folder, completeMarker));
  return {
    model,
    folder,
    // Weights may still be missing, because their file depends on the dtype.
    has: async (path) =>
      isComplete && !path.startsWith('onnx/') ? existsSync(join(folder, path)) : downloadFile(hubModel, path),
    markComplete: () => writeFile(join(folder, completeMarker), ''),
  };
}

/** @returns null if the model has no such file. @throws ProviderFailure if the file is not valid. */
export async function readJson<T>(files: ModelFiles, path: string, schema: z.ZodType<T>): Promise<T | null> {
  if (!(await files.has(path))) return null;
  try {
    return schema.parse(JSON.parse(await readFile(join(files.folder, path), 'utf8')));
  } catch {
    throw modelDamaged(files.model, path);
  }
}

export const getFileBytes = async ({ folder }: ModelFiles, path: string): Promise<number> =>
  (await stat(join(folder, path))).size;
