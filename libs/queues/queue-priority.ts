/**
 * The queue's own priorities begin at 1, come after what has none, and the least is first.
 * @param priority a task's: 0, or less where it may wait.
 */
export const toQueuePriority = (priority: number): { priority?: number } =>
  priority < 0 ? { priority: -priority } : {};
