/**
 * Converts a task's priority to BullMQ's, which starts at 1: the lowest number runs first, and jobs without one run before
 * all others.
 * @param priority a task's priority: 0, or negative for a task that may wait.
 */
export const toQueuePriority = (priority: number): { priority?: number } =>
  priority < 0 ? { priority: -priority } : {};
