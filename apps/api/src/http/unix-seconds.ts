/** Converts a time to Unix seconds, the format of every time in responses. */
export function toUnixSeconds(time: Date): number;
export function toUnixSeconds(time: Date | null): number | null;
export function toUnixSeconds(time: Date | null): number | null {
  return time && Math.floor(time.getTime() / 1_000);
}
