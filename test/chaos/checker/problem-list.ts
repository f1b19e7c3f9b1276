/** One thing that the checker queueSnapshots for: the problems it met, or what it saw that was in order. */
import type { Check } from '../fault.ts';

const shown = 4;

export class ProblemList {
  private readonly first: string[] = [];
  private count = 0;

  constructor(readonly name: string) {}

  add(text: string): void {
    this.count++;
    if (this.first.length < shown) this.first.push(text);
  }

  /** @param inOrder what to say when there was no problem: how much was looked at. */
  toCheck(inOrder: string): Check {
    if (this.count === 0) return { name: this.name, holds: true, found: inOrder };
    const more = this.count > shown ? `; and ${this.count - shown} more` : '';
    return { name: this.name, holds: false, found: this.first.join('; ') + more };
  }
}
