/** The options of `millrace listen`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { createSigningSecret } from '#webhooks';
import { findCredentials, type CredentialSettings } from './credentials.ts';
import { listen } from './listen.ts';

interface ListenArguments {
  forwardTo?: string;
  events: string[];
  after?: number;
  secret?: string;
  url?: string;
  key?: string;
}

const events = new Option('--events <types>', 'event types, e.g. batch.*,task.succeeded')
  .argParser(parseList)
  .default(['*'], 'all');

/** @param loadSettings reads the environment. It is called only when the command runs. */
export function createListenCommand(loadSettings: () => CredentialSettings): Command {
  return (
    new Command('listen')
      .description("Forward a workspace's events to a server on this machine, signed as webhooks.")
      // Checked in the action: commander reports a missing required option before an unknown one, e.g. a typo of it.
      .option('--forward-to <url>', 'http or https address of the server (required)', parseUrl)
      .addOption(events)
      .option('--after <position>', 'start after this feed position (default: now)', parsePosition)
      .option('--secret <secret>', 'signing secret, whsec_… (default: a new one)', parseSecret)
      .option('--url <url>', 'address of the Millrace API (default: MILLRACE_URL or the data folder)')
      .option('--key <key>', 'API key (default: MILLRACE_API_KEY or the data folder)')
      .action(async (options: ListenArguments, command: Command) => {
        const { forwardTo, secret = createSigningSecret(), url, key, ...others } = options;
        if (forwardTo === undefined) command.error('Required option --forward-to <url> is missing.');
        await listen({ ...others, forwardTo, secret }, findCredentials({ url, key }, loadSettings()));
      })
  );
}

function parseUrl(text: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text;
  throw new InvalidArgumentError('It must be an http or https address.');
}

function parseList(text: string): string[] {
  return text.split(',');
}

function parsePosition(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}

function parseSecret(text: string): string {
  if (text.startsWith('whsec_')) return text;
  throw new InvalidArgumentError('It must start with whsec_.');
}
