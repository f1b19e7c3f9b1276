/** Unix seconds, as every time on the wire is. */
export function seconds(time: Date): number;
export function seconds(time: Date | null): number | null;
export function seconds(time: Date | null): number | null {
  return time && Math.floor(time.getTime() / 1_000);
}
