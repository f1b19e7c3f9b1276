/** Types of settings: how each is parsed from text. `form` describes the accepted values in docs/reference/settings.md. */
import { z } from 'zod';
import { describeBlockedPort, isBlockedPort } from './blocked-ports.ts';

export const text = z.string().trim().min(1, 'must not be blank');

const maxQuotedLength = 40;

/** The value for an error message, cut. Only for types whose values are never secret. */
const quote = (value: unknown) => {
  const written = String(value);
  return `'${written.length > maxQuotedLength ? `${written.slice(0, maxQuotedLength)}…` : written}'`;
};

export const integer = (min: number, max: number) =>
  z
    .string()
    .transform((value, context) => {
      const number = /^\s*[+-]?\d{1,16}\s*$/.test(value) ? Number(value) : NaN;
      if (number >= min && number <= max) return number;
      const message = `must be a whole number from ${min} to ${max}, not ${quote(value)}`;
      context.issues.push({ code: 'custom', input: value, message });
      return z.NEVER;
    })
    .meta({ form: `an integer from ${min} to ${max}` });

/** A port that this process listens on, for clients that use fetch. */
export const httpPort = (min: number) =>
  integer(min, 65_535).refine((port) => !isBlockedPort(port), {
    error: ({ input }) => describeBlockedPort(Number(input)),
  });

export const oneOf = <const Options extends readonly string[]>(options: Options) =>
  z
    .enum(options, { error: ({ input }) => `must be one of ${options.join(', ')}, not ${quote(input)}` })
    .meta({ form: `one of ${options.map((option) => `\`${option}\``).join(', ')}` });

export const boolean = () =>
  z
    .stringbool({ error: ({ input }) => `must be true or false, not ${quote(input)}` })
    .meta({ form: '`true` or `false`' });

export const url = (...protocols: string[]) => {
  const prefixes = protocols.map((protocol) => `${protocol}://`);
  return text
    .superRefine((value, context) => {
      const parsed = URL.parse(value);
      if (!parsed || !protocols.includes(parsed.protocol.slice(0, -1))) {
        context.addIssue(`must be a URL that begins with ${prefixes.join(' or ')}`);
      } else if (isHttpUrlBlocked(parsed)) {
        context.addIssue(describeBlockedPort(Number(parsed.port)));
      }
    })
    .meta({ form: `a URL that begins with ${prefixes.map((prefix) => `\`${prefix}\``).join(' or ')}` });
};

const isHttpUrlBlocked = ({ protocol, port }: URL) =>
  protocol.startsWith('http') && port !== '' && isBlockedPort(Number(port));

/** Origins of browser pages, compared with the header `Origin` as text; or `*`. */
export const originList = () =>
  nameList()
    .pipe(
      z.array(
        z
          .string()
          .refine(
            (origin) => origin === '*' || URL.parse(origin)?.origin === origin,
            'origins are written like https://app.example.com or http://localhost:5173, without a path or a slash at the end, or *; separated by commas',
          ),
      ),
    )
    .meta({ form: 'origins like `https://app.example.com`, or `*`, separated by commas' });

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
        const parsed = value === 'url' && /^https?:\/\//.test(content) ? URL.parse(content) : null;
        if (parsed && isHttpUrlBlocked(parsed)) {
          const message = `${name}: ${describeBlockedPort(Number(parsed.port))}`;
          context.issues.push({ code: 'custom', input: undefined, message });
          return z.NEVER;
        }
        const isContentValid = value === 'key' ? content !== '' : parsed !== null;
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
