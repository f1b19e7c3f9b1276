/** The batches and tasks whose state clients of this process follow. A newer state replaces one that was not sent yet. */
import type { LiveState } from '@millrace/contracts';
import { Coalescer } from '#realtime';
import type { Logger } from '#telemetry';
import type { ReadSubject } from './read-subject.ts';

/** A subject is read at most five times a second, however often it changes. */
const refreshEveryMs = 200;

export type OnState = (state: LiveState) => void;

interface FollowedSubject {
  readonly workspaceId: string;
  readonly listeners: Set<OnState>;
  isReading: boolean;
  readAgain: boolean;
}

export class FollowedSubjects {
  private readonly subjects = new Map<string, FollowedSubject>();
  private readonly refreshes = new Coalescer<null>(refreshEveryMs, (id) => void this.refresh(id));
  private isStopped = false;

  constructor(
    private readonly readSubject: ReadSubject,
    private readonly log: Logger,
  ) {}

  stop(): void {
    this.isStopped = true;
  }

  follow(workspaceId: string, id: string, onState: OnState): () => void {
    let subject = this.subjects.get(id);
    if (!subject) {
      subject = { workspaceId, listeners: new Set(), isReading: false, readAgain: false };
      this.subjects.set(id, subject);
    }
    const { listeners } = subject;
    listeners.add(onState);
    return () => {
      listeners.delete(onState);
      if (listeners.size === 0 && this.subjects.get(id)?.listeners === listeners) this.subjects.delete(id);
    };
  }

  /** The subject has changed. */
  requestRefresh(id: string): void {
    if (this.subjects.has(id)) this.refreshes.push(id, null);
  }

  /** Updates may have been dropped: reads every followed subject. */
  refreshAll(): void {
    for (const id of this.subjects.keys()) this.refreshes.push(id, null);
  }

  /** Reads a subject once at a time, so that an older state never follows a newer one. */
  private async refresh(id: string): Promise<void> {
    const subject = this.subjects.get(id);
    if (!subject) return;
    if (subject.isReading) {
      subject.readAgain = true;
      return;
    }
    subject.isReading = true;
    try {
      const state = await this.readSubject(subject.workspaceId, id);
      if (state) for (const listener of subject.listeners) listener(state);
    } catch (error) {
      this.log.warn({ err: error, subject: id }, 'could not read a state for the clients that follow it');
    } finally {
      subject.isReading = false;
      if (subject.readAgain && !this.isStopped) {
        subject.readAgain = false;
        this.requestRefresh(id);
      }
    }
  }
}
