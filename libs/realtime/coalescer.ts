/** Limits values per key: sends the first one at once, then the newest one of each window. The last one is always sent. */
export class Coalescer<Value> {
  private readonly windows = new Map<string, { timer: NodeJS.Timeout; waiting?: { value: Value } }>();

  constructor(
    private readonly windowMs: number,
    private readonly send: (key: string, value: Value) => void,
  ) {}

  push(key: string, value: Value): void {
    const window = this.windows.get(key);
    if (window) window.waiting = { value };
    else this.emit(key, value);
  }

  /** Sends all waiting values now and clears every window. */
  flush(): void {
    const windows = [...this.windows];
    this.windows.clear();
    for (const [key, { timer, waiting }] of windows) {
      clearTimeout(timer);
      if (waiting) this.send(key, waiting.value);
    }
  }

  private emit(key: string, value: Value): void {
    const timer = setTimeout(() => {
      const waiting = this.windows.get(key)?.waiting;
      this.windows.delete(key);
      if (waiting) this.emit(key, waiting.value);
    }, this.windowMs);
    this.windows.set(key, { timer });
    this.send(key, value);
  }
}
