/** The interface of an inference provider's queue. */
import type { UpstreamRun } from '../poll-until-done.ts';
import type { Run } from '../run.ts';

/** Sends a request with the call's credential and signal. @throws ProviderFailure, or the signal's reason. */
export type SendRequest = <T>(url: string, init?: RequestInit) => Promise<T>;

export interface ProviderQueue extends Pick<UpstreamRun, 'poll' | 'cancel'> {
  /** @returns the provider's id of the run. */
  start(input: Readonly<Record<string, unknown>>): Promise<string>;
  /** @returns the URL of the generated file. */
  getResultUrl(id: string): Promise<string>;
}

/** @param modelId the model as the inference provider knows it. Only `start` uses it. */
export type CreateQueue = (
  sendRequest: SendRequest,
  modelId: string,
  reportProgress: Run['reportProgress'],
) => ProviderQueue;
