/** The supervisor is killed with -9 mid-batch and started again: it finishes the batch, and nothing is left over. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, type ProcessRef } from '../../../deploy/embedded/process-ref.ts';
import type { Check, Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { speed } from '../figures.ts';
import { inSeconds, resumed } from '../in-flight.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';
import { Supervised, supervisedWorkers } from '../supervised.ts';

const resumeWithinMs = 25_000;
const endWithinMs = 45_000;

interface Stroke {
  readonly stroke: number;
  readonly what: string;
  readonly onTheirWay: number;
  /** Until it said again that it runs, and until the last chunk that ran was claimed again, both from its start. */
  readonly runsAfterMs: number;
  readonly resumedAfterMs: number;
  /** Processes of the killed start that still ran when the new one did, but for an adopted database. */
  readonly orphans: number;
  readonly adopted: boolean;
}

export const supervisorKill: Fault = {
  name: 'supervisor-kill',
  title: 'kill -9 the supervisor mid-batch, and start it again',
  backends: ['embedded', 'redis'],
  run: (options) =>
    Scene.playOn(
      options,
      (servers) => Supervised.open(servers),
      (scene) => act(scene, options),
    ),
};

async function act(scene: Scene<Supervised>, options: FaultOptions): Promise<FaultResult> {
  const { short, random, say } = options;
  const lines = options.lines ?? (short ? 700 : 30_000);
  const batch = await scene.submit(pacedInput(lines, short ? 2.5 : 8));
  say(`${lines} lines as ${batch.id} under one supervisor with ${supervisedWorkers} workers`);
  await scene.running();
  await scene.look();
  const strokes: Stroke[] = [];
  for (let stroke = 1; stroke <= (short ? 2 : 4); stroke++) {
    await sleep(random.between(500, 2_500));
    // Every other time all that it had started dies with it, the database too.
    strokes.push(await killAndStart(scene, stroke, stroke % 2 === 0));
  }
  await scene.ended(240_000);
  const running = await scene.platform.processes();
  const verdict = await scene.verdict({ secrets: scene.platform.secrets });
  const figures = {
    kills: strokes.length,
    slowestStartMs: Math.round(Math.max(...strokes.map(({ runsAfterMs }) => runsAfterMs))),
    slowestResumeMs: Math.max(...strokes.map(({ resumedAfterMs }) => resumedAfterMs)),
    ...(await speed(scene)),
  };
  const checks = [...verdict, ...strokeChecks(strokes), oneOfEach(running), await leavesNothing(scene)];
  return { checks, tables: [strokeTable(strokes)], figures };
}

async function killAndStart(scene: Scene<Supervised>, stroke: number, all: boolean): Promise<Stroke> {
  const { platform, truth, options } = scene;
  const before = await platform.children();
  const pieces = await truth.inFlight();
  await platform.kill(all);
  await sleep(options.random.between(0, 1_500));
  const startedAt = Date.now();
  const runsAfterMs = await platform.start();
  const left = await stillRunning(before);
  const adopted = left.some(({ name }) => name === 'postgres');
  const { interruptedMs: resumedAfterMs } = await resumed(scene, pieces, startedAt, 4 * resumeWithinMs);
  const what = all ? 'the supervisor and all under it' : 'the supervisor';
  options.say(
    `stroke ${stroke}: killed ${what}; its chunks went on within ${inSeconds(resumedAfterMs)} of its start`,
  );
  const orphans = left.filter(({ name }) => name !== 'postgres').length;
  return { stroke, what, onTheirWay: pieces.length, runsAfterMs, resumedAfterMs, orphans, adopted };
}

async function stillRunning<T extends ProcessRef>(refs: readonly T[]): Promise<T[]> {
  const running = await Promise.all(refs.map((ref) => isRunning(ref)));
  return refs.filter((_, at) => running[at]);
}

function strokeChecks(strokes: readonly Stroke[]): Check[] {
  const slowest = Math.max(...strokes.map(({ resumedAfterMs }) => resumedAfterMs));
  const orphans = strokes.reduce((sum, stroke) => sum + stroke.orphans, 0);
  return [
    {
      name: `the chunks that ran go on within ${resumeWithinMs / 1_000} s of the start`,
      holds: slowest <= resumeWithinMs,
      found: `the last after ${inSeconds(slowest)}`,
    },
    {
      name: 'once it runs again nothing runs that its predecessor had started, but for the database',
      holds: orphans === 0,
      found: `${orphans} orphans; ${strokes.filter(({ adopted }) => adopted).length} databases adopted`,
    },
  ];
}

/** By the command lines of all processes that know the data folder. */
function oneOfEach(running: readonly string[]): Check {
  const count = (pattern: RegExp) => running.filter((line) => pattern.test(line)).length;
  const found = {
    supervisor: count(/embedded\/start\.js/),
    api: count(/api\/src\/main\.js/),
    worker: count(/worker\/src\/main\.js/),
    postgres: count(/postgres(\.exe)? -D/),
  };
  const due = { supervisor: 1, api: 1, worker: supervisedWorkers, postgres: 1 };
  return {
    name: 'in the end one supervisor, one API, one database and its workers run',
    holds: process.platform !== 'linux' || JSON.stringify(found) === JSON.stringify(due),
    found: JSON.stringify(found),
  };
}

async function leavesNothing({ platform }: Scene<Supervised>): Promise<Check> {
  const { code, ms } = await platform.end(endWithinMs);
  const left = await platform.processes();
  const records = await platform.children();
  const locked = await access(join(platform.home, 'supervisor.lock')).then(
    () => true,
    () => false,
  );
  return {
    name: 'SIGTERM ends it with 0 and leaves no process and no lock',
    holds: code === 0 && left.length === 0 && records.length === 0 && !locked,
    found: `${code} after ${(ms / 1_000).toFixed(1)} s, ${left.length} processes, ${records.length} records, ${locked ? 'a' : 'no'} lock${left.map((line) => `; ${line}`).join('')}`,
  };
}

function strokeTable(strokes: readonly Stroke[]): Table {
  return {
    title: 'Kills of the supervisor',
    columns: ['stroke', 'killed', 'on their way', 'runs again after', 'its chunks went on after', 'database'],
    rows: strokes.map(({ stroke, what, onTheirWay, runsAfterMs, resumedAfterMs, adopted }) => [
      stroke,
      what,
      onTheirWay,
      `${(runsAfterMs / 1_000).toFixed(1)} s`,
      `${(resumedAfterMs / 1_000).toFixed(1)} s`,
      adopted ? 'adopted' : 'started anew',
    ]),
  };
}
