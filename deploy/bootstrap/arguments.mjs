/**
 * The arguments of the npm scripts: their help, and a check before anything is installed or built. A program parses its
 * arguments again; a test compares its options with these.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { print, root } from './paths.mjs';

/** Exit code for wrong arguments. */
const usageExitCode = 2;

const environmentNote = `Settings come from the environment and from .env; .env.example and docs/reference/settings.md list them.`;

/**
 * `usage`: the arguments after the script's name. `about`: what it does. `options`: as for parseArgs, with the words for the
 * help in `help` and the name of the value in `value`. `positionals`: how many other arguments it takes. `passesOn`: a tool
 * parses the arguments.
 */
const descriptions = {
  start: {
    about:
      'Runs Millrace: an embedded Postgres (unless DATABASE_URL is set), the API and the workers. Ctrl-C stops all.',
    options: {
      'new-key': {
        type: 'boolean',
        help: 'make a new admin key and write it to credentials.json; if Millrace already runs, exit then',
      },
    },
    note: environmentNote,
  },
  quickstart: {
    about:
      'Starts Millrace unless it runs, sends a batch of embeddings, and shows its progress and its results.',
    options: {
      exit: { type: 'boolean', help: 'stop at the end' },
      lines: {
        type: 'string',
        value: 'N',
        whole: true,
        help: 'lines of the batch, up to 5120 (default: 5000)',
      },
    },
    note: environmentNote,
  },
  dev: {
    about: 'Runs Millrace, and rebuilds and restarts it when a source is saved.',
    note: environmentNote,
  },
  build: { about: 'Compiles the TypeScript sources to dist/.' },
  test: {
    usage: '[FILE …] [options of jest]',
    about: 'Runs the test suites, or those whose path contains FILE.',
    passesOn: 'jest',
    options: {
      selectProjects: { type: 'string', value: 'NAME', help: 'unit, integration or e2e' },
      testNamePattern: { type: 'string', short: 't', value: 'REGEX', help: 'only tests whose name matches' },
    },
  },
  'test:unit': {
    usage: '[FILE …] [options of jest]',
    about: 'Runs the unit tests, or those whose path contains FILE.',
    passesOn: 'jest',
  },
  check: {
    about:
      'Checks format, types, lint, import rules, dead code, retired words and settings, and runs the unit tests.',
  },
  chaos: {
    usage: 'NAME|all',
    about:
      'Runs a fault, or all of them, against the built platform and checks the invariants. docs/concepts/faults.md',
    positionals: 1,
    options: {
      backend: {
        type: 'string',
        value: 'NAME',
        help: 'embedded or redis (default: all that the fault applies to)',
      },
      store: { type: 'string', value: 'NAME', help: 'disk, s3 or spread (default: disk)' },
      seed: { type: 'string', value: 'N', help: 'repeat a run' },
      lines: { type: 'string', value: 'N', help: 'lines of the batch' },
      jobs: { type: 'string', value: 'N', help: 'runs at once (default: 1)' },
      list: { type: 'boolean', help: 'list the faults' },
      report: { type: 'string', value: 'FILE', help: 'write the verdicts to a JSON file' },
      short: { type: 'boolean', help: 'smaller batches and fewer repetitions' },
      'without-fence': { type: 'boolean', help: 'show that the checker finds a missing fence' },
    },
  },
  bench: {
    usage: 'NAME',
    about: 'Runs a benchmark on the built platform. docs/concepts/benchmarks.md',
    positionals: 1,
    options: {
      backend: { type: 'string', value: 'NAME', help: 'embedded or redis (default: embedded)' },
      lines: { type: 'string', value: 'N', help: 'lines or requests' },
      list: { type: 'boolean', help: 'list the benchmarks' },
      model: { type: 'string', value: 'NAME', help: 'model of the requests' },
      profile: { type: 'string', value: 'FOLDER', help: 'write CPU profiles' },
    },
  },
  upstream: {
    about:
      'Serves the scripted upstream of the tests, for use with a local Millrace. docs/guides/providers.md',
    options: {
      port: { type: 'string', value: 'N', whole: true, help: 'port (default: 4080)' },
      misbehaving: { type: 'boolean', help: 'answer as misbehaving servers do, by model name' },
    },
  },
};

export function describeScript(name) {
  const { about, usage = '', options = {}, note } = descriptions[name];
  const script = ['start', 'test'].includes(name) ? name : `run ${name}`;
  const takesArguments = usage || Object.keys(options).length > 0;
  const rows = [
    ...Object.entries(options).map(([option, { value, short, help }]) => [
      `${short ? `-${short}, ` : ''}--${option}${value ? ` ${value}` : ''}`,
      help,
    ]),
    ['-h, --help', 'show this help'],
  ];
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const lines = [
    `Usage: npm ${script}${takesArguments ? ` -- ${[usage, ...(usage.includes('options') ? [] : ['[options]'])].filter(Boolean).join(' ')}` : ''}`,
    '',
    about,
    '',
    'Options:',
    ...rows.map(([left, help]) => `  ${left.padEnd(width)}${help}`),
  ];
  return [...lines, ...(note ? ['', note] : [])].join('\n');
}

/** Prints the help, or the first wrong argument, and ends this process; returns if the arguments can be used. */
export function checkArguments(name, args) {
  const description = descriptions[name];
  if (!description) return;
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (own.some((argument) => argument === '--help' || argument === '-h')) {
    process.stdout.write(`${describeScript(name)}\n`);
    process.exit(0);
  }
  const problem = description.passesOn ? null : findProblem(description, args);
  if (problem) exitWithUsage(name, problem);
}

function exitWithUsage(name, problem) {
  print(`${problem}\n\n${describeScript(name)}`);
  process.exit(usageExitCode);
}

function findProblem({ options = {}, positionals: most = 0 }, args) {
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    return describeParseError(error);
  }
  const { values, positionals } = parsed;
  if (positionals.length > most) return `Unknown argument: ${positionals[most]}`;
  for (const [option, { whole }] of Object.entries(options)) {
    const value = values[option];
    if (whole && value !== undefined && !/^\d{1,9}$/.test(value))
      return `--${option} must be a whole number, not '${value}'`;
  }
  return null;
}

function describeParseError({ code, message }) {
  const [, option] = /'(-[^' ]*)/.exec(message) ?? [];
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && option) return `Unknown option: ${option}`;
  return message.split('. ')[0];
}

/** jest names an unknown option after the build and with exit code 1. `args` are checked against its help before. */
export function checkToolArguments(name, args, node, toolArgs) {
  if (descriptions[name]?.passesOn !== 'jest') return;
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const given = args
    .slice(0, end)
    .flatMap((argument) => /^--(?:no-)?([\w-]+)/.exec(argument)?.[1] ?? [])
    .filter((option) => !Object.hasOwn(descriptions[name].options ?? {}, option));
  if (given.length === 0) return;
  const { stdout } = spawnSync(node, [...toolArgs, '--help'], { cwd: root, encoding: 'utf8' });
  const known = new Set([...stdout.matchAll(/--([\w-]+)/g)].map(([, option]) => toKebabCase(option)));
  const unknown = given.find((option) => !known.has(toKebabCase(option)));
  if (unknown && known.size > 0) exitWithUsage(name, `Unknown option: --${unknown}`);
}

/** jest accepts `--testNamePattern` and `--test-name-pattern`. */
const toKebabCase = (option) => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
