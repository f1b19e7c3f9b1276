/** Writes `.env.example` from the settings, so that the two can't differ. */
import { settings } from './settings.ts';

/** @returns the file's whole text. */
export function envExample(): string {
  const defaults = settings.parse({}) as Record<string, unknown>;
  const entries = Object.entries(settings.shape).map(([name, schema]) => {
    const value = defaults[name];
    const shown = Array.isArray(value) ? value.join(',') : value instanceof Map ? '' : (value ?? '');
    return `# ${schema.description}\n#${name}=${shown as string}\n`;
  });
  return `# Made by \`npm run env:example\` from libs/config/settings.ts. Every line shows the default.\n\n${entries.join('\n')}`;
}
