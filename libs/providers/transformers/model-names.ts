/** What a local model may be called: `name` for one that ships or lies in the folder, `org/name` for those and the Hub's. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidInput } from '#domain';
import type { LocalOptions } from './options.ts';

/** As the Hub has it: huggingface_hub/utils/_validators.py. */
const part = '[A-Za-z0-9][A-Za-z0-9._-]{0,95}';
const shape = new RegExp(`^${part}(/${part})?$`);

const here = fileURLToPath(new URL('../../../', import.meta.url));
/** The models that ship with the repository, from the sources as from the build. */
const bundled = join(basename(here) === 'dist' ? dirname(here) : here, 'models');

/** @returns where a model's files lie on this machine; null where they would have to come from the Hub. */
export function findModelFolder(model: string, { folder }: Pick<LocalOptions, 'folder'>): string | null {
  const places = [join(folder, model), join(bundled, model)];
  return places.find((place) => existsSync(join(place, 'config.json'))) ?? null;
}

/** @returns the models whose files lie on this machine, in either place. */
export function listLocalModels({ folder }: Pick<LocalOptions, 'folder'>): string[] {
  const isModel = (path: string) => existsSync(join(path, 'config.json'));
  const found = [folder, bundled].flatMap((place) =>
    foldersIn(place).flatMap((name) => {
      const within = join(place, name);
      if (isModel(within)) return [name];
      return foldersIn(within)
        .filter((inner) => isModel(join(within, inner)))
        .map((inner) => `${name}/${inner}`);
    }),
  );
  return [...new Set(found)].filter((name) => shape.test(name)).sort();
}

function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  // A model's folder may be a link to where its files are.
  return entries.filter((entry) => !entry.isFile()).map(({ name }) => name);
}

/** @throws InvalidInput, code `model_not_found` */
export function checkModelName(model: string, options: Pick<LocalOptions, 'folder' | 'isFolderNamed'>): void {
  const details = { code: 'model_not_found', param: 'model' };
  if (!shape.test(model) || /\.\.|--/.test(model)) {
    throw new InvalidInput(
      'Local models are named local/name for a folder of MODELS_DIR, or local/org/name as on huggingface.co.',
      details,
    );
  }
  if (model.includes('/') || findModelFolder(model, options)) return;
  // Where there is no such folder (an API on another machine), those that have it are to say.
  if (options.isFolderNamed && !existsSync(options.folder)) return;
  throw new InvalidInput(
    `There is no model local/${model}: no folder of that name in MODELS_DIR. Models of the Hub are named local/org/name.`,
    details,
  );
}
