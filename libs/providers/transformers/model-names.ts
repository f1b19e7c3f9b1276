/** Names of local models: `name` for a bundled model or one in the folder, `org/name` for those and for models of the Hub. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidInput } from '#domain';
import type { LocalOptions } from './options.ts';

/** The Hub's rule: huggingface_hub/utils/_validators.py. */
const part = '[A-Za-z0-9][A-Za-z0-9._-]{0,95}';
const pattern = new RegExp(`^${part}(/${part})?$`);

const root = fileURLToPath(new URL('../../../', import.meta.url));
/** Models in the repository. The path works from the sources and from the build. */
const bundledFolder = join(basename(root) === 'dist' ? dirname(root) : root, 'models');

const isModelFolder = (path: string) => existsSync(join(path, 'config.json'));

/** @returns the folder with a model's files; null if the model is not on this machine. */
export function findModelFolder(model: string, { folder }: Pick<LocalOptions, 'folder'>): string | null {
  return [join(folder, model), join(bundledFolder, model)].find(isModelFolder) ?? null;
}

/** @returns the names of the models in the folder and of the bundled ones. */
export function listLocalModels({ folder }: Pick<LocalOptions, 'folder'>): string[] {
  const names = [folder, bundledFolder].flatMap((parent) =>
    listFolders(parent).flatMap((name) => {
      const path = join(parent, name);
      if (isModelFolder(path)) return [name];
      return listFolders(path)
        .filter((inner) => isModelFolder(join(path, inner)))
        .map((inner) => `${name}/${inner}`);
    }),
  );
  return [...new Set(names)].filter((name) => pattern.test(name)).sort();
}

function listFolders(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  // Everything but plain files: a model's folder may be a symbolic link.
  return entries.filter((entry) => !entry.isFile()).map(({ name }) => name);
}

/** @throws InvalidInput, code `model_not_found` */
export function checkModelName(
  model: string,
  options: Pick<LocalOptions, 'folder' | 'isFolderConfigured'>,
): void {
  const details = { code: 'model_not_found', param: 'model' } as const;
  if (!pattern.test(model) || /\.\.|--/.test(model)) {
    throw new InvalidInput(
      'Local models are named local/name for a folder of MODELS_DIR, or local/org/name as on huggingface.co.',
      details,
    );
  }
  if (model.includes('/') || findModelFolder(model, options)) return;
  // The folder may exist only on the workers' machines: then the worker decides.
  if (options.isFolderConfigured && !existsSync(options.folder)) return;
  throw new InvalidInput(
    `There is no model local/${model}: MODELS_DIR has no folder of that name. Models of the Hub are named local/org/name.`,
    details,
  );
}
