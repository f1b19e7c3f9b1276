/** How what is followed is read as the API answers it, given by the module that has the stores. */
import type { LiveState } from '@millrace/contracts';

/** @param id of a batch. @returns null when the workspace has no such subject. */
export type ReadSubject = (workspaceId: string, id: string) => Promise<LiveState | null>;
export const READ_SUBJECT = Symbol('read subject');
