/** A length of time: milliseconds, or a whole number with a unit, such as `"250ms"`, `"5s"`, `"2m"`, `"1h"`, `"3d"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** Reads a duration as whole milliseconds. Throws a `TypeError` that says what is accepted. */
export function parseDuration(duration: Duration): number {
  const milliseconds = typeof duration === "number" ? Math.round(duration) : parseText(duration);
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0) {
    throw new TypeError(`${JSON.stringify(duration) ?? "that"} is not a duration; give milliseconds or text such as "5s", "2m", "1h", "3d"`);
  }
  return milliseconds;
}

function parseText(text: string): number {
  const [, count, unit = ""] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Number(count) * (UNITS.get(unit) ?? Number.NaN);
}

/** Reads an instant as integer milliseconds since the Unix epoch. Text is read as `Date` reads it (use RFC 3339). */
export function parseInstant(instant: Date | string | number): number {
  const milliseconds = typeof instant === "number" ? Math.round(instant) : new Date(instant).getTime();
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0) {
    throw new TypeError("that is not an instant; give a Date, milliseconds since 1970 or RFC 3339 text");
  }
  return milliseconds;
}
