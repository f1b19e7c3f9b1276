/** Collects the problems that one check of the checker finds. */
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

  /** @param summary what was checked; shown if there is no problem. */
  toCheck(summary: string): Check {
    if (this.count === 0) return { name: this.name, holds: true, found: summary };
    const more = this.count > shown ? `; and ${this.count - shown} more` : '';
    return { name: this.name, holds: false, found: this.first.join('; ') + more };
  }
}
