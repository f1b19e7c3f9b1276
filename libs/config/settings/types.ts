/** Types of settings: how each is parsed from text. `form` describes the accepted values in docs/reference/settings.md. */
import { z } from 'zod';

export const text = z.string().trim().min(1);

export const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

export const boolean = () => z.stringbool('must be true or false').meta({ form: '`true` or `false`' });

export const url = (...protocols: string[]) => {
  const prefixes = protocols.map((protocol) => `${protocol}://`);
  return text
    .refine(
      (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol.slice(0, -1)),
      `must be a URL that begins with ${prefixes.join(' or ')}`,
    )
    .meta({ form: `a URL that begins with ${prefixes.map((prefix) => `\`${prefix}\``).join(' or ')}` });
};

export const filePath = () => text.meta({ form: 'a path' });

/** Names of the built-in providers. A configured server cannot have one of them. */
const reservedNames = ['sandbox', 'local', 'hf', 'ollama'];

const splitList = (list: string) =>
  list
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);

/** `name=calls` pairs. A name is a provider's, or a model's as callers write it. */
export const concurrencyLimits = () =>
  z
    .string()
    .default('')
    .transform((list, context) => {
      const limits = new Map<string, number>();
      for (const pair of splitList(list)) {
        const [, name, calls] = /^([a-z][a-z0-9-]{0,30}(?:\/\S+)?)=(\d{1,4})$/.exec(pair) ?? [];
        if (!name || limits.has(name) || !(Number(calls) >= 1 && Number(calls) <= 1_024)) {
          context.issues.push({
            code: 'custom',
            input: list,
            message:
              'must be provider=calls or provider/model=calls, separated by commas; each once, 1 to 1024 calls',
          });
          return z.NEVER;
        }
        limits.set(name, Number(calls));
      }
      return limits;
    })
    .meta({ form: '`provider=calls` or `provider/model=calls`, separated by commas; 1 to 1024 calls' });

/** `name=value` pairs of the servers that have no built-in provider name. */
export const namedValues = (value: 'url' | 'key') =>
  z
    .string()
    .default('')
    .transform((list, context) => {
      const pairs = new Map<string, string>();
      for (const pair of splitList(list)) {
        const separator = Math.max(pair.indexOf('='), 0);
        const [name, content] = [pair.slice(0, separator).trim(), pair.slice(separator + 1).trim()];
        const isNameValid =
          /^[a-z][a-z0-9-]{0,30}$/.test(name) && !reservedNames.includes(name) && !pairs.has(name);
        const isContentValid =
          value === 'key' ? content !== '' : /^https?:\/\//.test(content) && URL.canParse(content);
        // The content may be a secret, so neither it nor the input is in the issue.
        if (!isNameValid || !isContentValid) {
          context.issues.push({
            code: 'custom',
            input: undefined,
            message: `must be name=${value} pairs, separated by commas; names are lower case, each once, and none of ${reservedNames.join(', ')}`,
          });
          return z.NEVER;
        }
        pairs.set(name, content);
      }
      return pairs;
    })
    .meta({ form: `\`name=${value}\` pairs, separated by commas` });

/** Amounts of money by provider. */
export const amounts = () =>
  z
    .string()
    .regex(
      /^(\s*[a-z][a-z0-9-]{0,30}\s*=\s*\d{1,9}(\.\d{1,9})?\s*(,|$))*$/,
      'must be name=amount pairs, separated by commas, like hf=0.10',
    )
    .default('')
    .transform((list) => new Map(splitList(list).map(parseAmount)))
    .meta({ form: '`name=amount` pairs, separated by commas' });

function parseAmount(pair: string): [string, number] {
  const [name = '', amount] = pair.split('=');
  return [name.trim(), Number(amount)];
}

export const nameList = () =>
  z.string().default('').transform(splitList).meta({ form: 'names, separated by commas' });

export const poolList = () =>
  z
    .string()
    .default('local,remote')
    .transform((list) => list.split(',').map((pool) => pool.trim()))
    .pipe(
      z.array(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'pools are named like local or gpu-a100')).min(1),
    )
    .meta({ form: 'pool names, separated by commas' });

/** Hosts, each with a port or for all ports. @param example a host name for the error message. */
export const hostList = (example: string) =>
  nameList()
    .pipe(
      z.array(
        z
          .string()
          .regex(
            /^(\[[\da-fA-F:.]+\]|[^\s/:@?#\\[\]]+)(:\d{1,5})?$|^[\da-fA-F:]{2,39}$/,
            `hosts are written like ${example}, 127.0.0.1:4000 or [::1]:4000, separated by commas`,
          ),
      ),
    )
    .meta({ form: `hosts like \`${example}\` or \`127.0.0.1:4000\`, separated by commas` });
