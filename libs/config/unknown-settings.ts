/** Finds environment variables that are meant as settings but have another name. All other variables are ignored. */
import { countEdits } from './edit-distance.ts';
import { settings } from './settings/index.ts';

export interface UnknownSettings {
  /** Misspelt names: a setting that would be ignored without a word. */
  readonly problems: string[];
  /** Names that may belong to another program. */
  readonly warnings: string[];
}

type SettingName = keyof typeof settings.shape;
const settingNames = Object.keys(settings.shape) as SettingName[];

/** Variables that only the CLI, the tests and the documentation read. */
const otherNames = /^MILLRACE_(URL|API_KEY|TEST_.*)$/;

/** Names that other programs and platforms use for the same thing. */
const otherProgramsNames: Readonly<Record<string, SettingName>> = {
  POSTGRES_URL: 'DATABASE_URL',
  POSTGRES_URI: 'DATABASE_URL',
  POSTGRESQL_URL: 'DATABASE_URL',
  PG_URL: 'DATABASE_URL',
  DB_URL: 'DATABASE_URL',
  DATABASE_DSN: 'DATABASE_URL',
  REDIS_DSN: 'REDIS_URL',
  REDIS_CONNECTION_STRING: 'REDIS_URL',
  REDIS_TLS_URL: 'REDIS_URL',
  AWS_S3_BUCKET: 'S3_BUCKET',
  S3_BUCKET_NAME: 'S3_BUCKET',
  AWS_S3_ENDPOINT: 'S3_ENDPOINT',
  S3_ENDPOINT_URL: 'S3_ENDPOINT',
  S3_URL: 'S3_ENDPOINT',
  S3_ACCESS_KEY: 'S3_ACCESS_KEY_ID',
  S3_SECRET_KEY: 'S3_SECRET_ACCESS_KEY',
  HUGGING_FACE_HUB_TOKEN: 'HF_TOKEN',
  HUGGINGFACE_TOKEN: 'HF_TOKEN',
  OLLAMA_BASE_URL: 'OLLAMA_URL',
  WORKERS: 'WORKER_COUNT',
  NUM_WORKERS: 'WORKER_COUNT',
};

/** Shorter names are one edit away from many words. */
const minNameLength = 6;
/** In `.env`, a name that begins like a setting is meant as one. In the environment it may belong to any program. */
const prefixes = new Set(
  settingNames.filter((name) => name.includes('_')).map((name) => name.slice(0, name.indexOf('_') + 1)),
);

/**
 * @param env the environment, with the variables of `.env`
 * @param envFileNames names that come from `.env`
 */
export function findUnknownSettings(
  env: Readonly<Record<string, string | undefined>>,
  envFileNames: readonly string[] = [],
): UnknownSettings {
  const found: UnknownSettings = { problems: [], warnings: [] };
  for (const name of Object.keys(env)) {
    if (!env[name] || name in settings.shape || otherNames.test(name)) continue;
    const nearest = findNearest(name);
    // Both names are set, e.g. by a platform: the setting has the value that its operator chose.
    const isDecided = nearest !== null && nearest in env;
    if (nearest && !isDecided) {
      found.problems.push(`${name}: no such setting. Did you mean ${nearest}?`);
      continue;
    }
    const equivalent = Object.hasOwn(otherProgramsNames, name) ? otherProgramsNames[name]! : null;
    if (equivalent && !(equivalent in env)) {
      found.warnings.push(`${name} is ignored: Millrace reads ${equivalent}.`);
    } else if (!nearest && !equivalent && beginsLikeASetting(name, envFileNames.includes(name))) {
      found.warnings.push(`${name} is ignored: there is no such setting. .env.example lists all settings.`);
    }
  }
  return found;
}

function beginsLikeASetting(name: string, isInEnvFile: boolean): boolean {
  if (name.startsWith('MILLRACE_')) return true;
  return isInEnvFile && prefixes.has(name.slice(0, name.indexOf('_') + 1));
}

/** @returns the setting that was probably meant, or null. */
function findNearest(name: string): SettingName | null {
  if (Object.hasOwn(otherProgramsNames, name)) return null;
  const written = name.toUpperCase().replaceAll('-', '_');
  const withoutPrefix = written.replace(/^MILLRACE_/, '');
  let nearest: SettingName | null = null;
  let fewest = Infinity;
  for (const known of settingNames) {
    if (written.startsWith('MILLRACE_') && withoutPrefix === known) return known;
    if (known.length < minNameLength) continue;
    const edits = countNameEdits(written, known);
    if (edits < fewest) [nearest, fewest] = [known, edits];
  }
  return nearest;
}

const maxEdits = 2;

/**
 * Two edits are a misspelling only in different or long words: DATABASE_PORT is not DATABASE_POOL, and GH_TOKEN is not
 * HF_TOKEN. @returns Infinity for another name
 */
function countNameEdits(written: string, known: string): number {
  const edits = countEdits(written, known, maxEdits);
  if (edits <= 1) return edits;
  const words = written.split('_');
  const knownWords = known.split('_');
  const isMisspelling =
    words.length === knownWords.length &&
    knownWords.every((word, at) => countEdits(words[at]!, word, maxEdits) <= Math.max(1, word.length / 5));
  return isMisspelling ? edits : Infinity;
}
