/**
 * The slots of a pool in this worker: so many chunks have their lines run at once. A slot is given up when the lines
 * have run: the store and the database take as long for a small chunk as its lines did, and a device must not wait for them.
 */
export class Slots {
  private free: number;
  private readonly waiting = new Set<() => void>();

  constructor(count: number) {
    this.free = count;
  }

  /**
   * Slots go to those who ask first. Who is aborted waits no longer: its work is to be handed back.
   * @returns gives the slot up; a second call does nothing.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    if (this.free > 0) this.free--;
    else if (signal.aborted || !(await this.handedOver(signal))) return () => undefined;
    let isHeld = true;
    return () => {
      if (isHeld) this.giveUp();
      isHeld = false;
    };
  }

  private handedOver(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isMine: boolean) => {
        signal.removeEventListener('abort', leave);
        this.waiting.delete(enter);
        resolve(isMine);
      };
      const enter = () => settle(true);
      const leave = () => settle(false);
      signal.addEventListener('abort', leave, { once: true });
      this.waiting.add(enter);
    });
  }

  private giveUp(): void {
    const [next] = this.waiting;
    if (next) next();
    else this.free++;
  }
}
