/** Reads the state of an upstream run. A state that we do not know ends the run under its name, after a bound. */
import { ProviderFailure } from '#domain';
import { isObject } from './completion-choices.ts';
import { invalidOutput } from './failures.ts';
import { readError } from './read-error.ts';
import { toStorableText } from './storable-text.ts';

/** In lower case. */
export interface RunStates {
  readonly running: readonly string[];
  readonly done: readonly string[];
  readonly failed: readonly string[];
}

/** An end without a result that the upstream, its operator or its user caused: it is not the input's fault. */
const canceledStates = /^(cancell?ed|aborted|expired|timed?_?out|deleted|terminated|stopped)$/i;

/** Words of servers for work that goes on. */
const runningWords =
  /^(re)?(queu|pend|wait|start|boot|load|initial|prepar|schedul|process|run|in_|render|generat|upload|download|encod|post|warm)/;

/** The state of a run, thrown when it is one that we do not know. `pollUntilDone` counts these. */
export class UnknownRunState extends ProviderFailure {
  constructor(readonly state: string) {
    const name = toStorableText(state, 64);
    super(`The provider reports the state '${name}', which is not known to be a result.`, {
      code: 'provider_error',
      status: 502,
      retryable: true,
    });
  }
}

/**
 * @param error what the upstream reports beside the state.
 * @returns whether the run is done. @throws ProviderFailure if it ended without a result; UnknownRunState.
 */
export function readRunState(state: string, states: RunStates, error: unknown): boolean {
  const name = state.toLowerCase();
  if (states.done.includes(name)) return true;
  if (states.running.includes(name) || runningWords.test(name)) return false;
  const isKnownEnd = states.failed.includes(name) || isPresent(error);
  if (!isKnownEnd && !canceledStates.test(name)) throw new UnknownRunState(state);
  throw buildRunFailure(state, error);
}

const maxReasonLength = 400;

export function buildRunFailure(state: string, error: unknown): ProviderFailure {
  const { message, code } = readError(isObject(error) || typeof error === 'string' ? error : null);
  const reason = message === '' ? 'the provider gives no reason' : message;
  const stateName = toStorableText(state, 64);
  return new ProviderFailure(
    `The provider ended the run as '${stateName}': ${toStorableText(reason, maxReasonLength)}`,
    { code: code ?? 'provider_error', status: 422, retryable: false },
  );
}

const isPresent = (error: unknown) => error !== undefined && error !== null && error !== '';

/** Ids are stored, and sent in paths. */
const maxRunIdLength = 512;

/** @throws ProviderFailure, code `invalid_output`. */
export function readRunId(id: unknown): string {
  const text = typeof id === 'number' ? String(id) : id;
  if (typeof text !== 'string' || text === '') throw invalidOutput('it has no id of the run');
  if (text.length > maxRunIdLength || text !== toStorableText(text) || text.includes('\ufffd'))
    throw invalidOutput('the id of the run is too long, or not text');
  return text;
}
