/** All settings: name, description, type and default. `.env.example` and docs/reference/settings.md are generated from it. */
import { z } from 'zod';
import { limitSettings, logSettings, retentionSettings } from './limits.ts';
import { providerSettings } from './providers.ts';
import { apiSettings, databaseSettings, storageSettings } from './services.ts';
import { modelSettings, workerSettings } from './workers.ts';

/** In the order in which they are documented. */
export const settingGroups: readonly {
  readonly title: string;
  readonly fields: Readonly<Record<string, z.ZodType>>;
}[] = [
  { title: 'API', fields: apiSettings },
  { title: 'Database and queue', fields: databaseSettings },
  { title: 'Object storage', fields: storageSettings },
  { title: 'Workers', fields: workerSettings },
  { title: 'Local models', fields: modelSettings },
  { title: 'Hosted providers', fields: providerSettings },
  { title: 'Limits', fields: limitSettings },
  { title: 'Retention', fields: retentionSettings },
  { title: 'Logs', fields: logSettings },
];

export const settings = z.object({
  ...apiSettings,
  ...databaseSettings,
  ...storageSettings,
  ...workerSettings,
  ...modelSettings,
  ...providerSettings,
  ...limitSettings,
  ...retentionSettings,
  ...logSettings,
});

/** If the first of a pair is set, the second must be set too. */
export const requiredTogether = [
  ['S3_ENDPOINT', 'S3_BUCKET'],
  ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'],
  ['S3_SECRET_ACCESS_KEY', 'S3_ACCESS_KEY_ID'],
] as const;

export type Settings = z.output<typeof settings>;
