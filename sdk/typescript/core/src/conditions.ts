import { encodeJson, type Json } from "./json.js";

/** What an event's data must have: at `path`, such as `data.order` or `data.items.0.kind`, exactly this value. */
export interface Condition {
  /** `data`, or begins with `data.`; then names of members, or places in an array. */
  readonly path: string;
  readonly equals: Json;
}

/** A copy that nobody changes any more. Throws for a path that can never hold and for what is not JSON. */
export function checkCondition({ path, equals }: Condition, of: string): Condition {
  if (typeof path !== "string" || !/^data(\.|$)/.test(path)) {
    throw new TypeError(`a path in the filter of ${of} is "data" or begins with "data."`);
  }
  if (equals === undefined) throw new TypeError(`the filter of ${of} says nothing for "${path}"`);
  return { path, equals: JSON.parse(encodeJson(equals, `the filter of ${of}`)) };
}

/** The server reads data no deeper than this. */
const MAX_LEVELS = 127;

/** Whether a condition holds for an event's data, by the rules of the server: `spec/events.md`. */
export function isHeld({ path, equals }: Condition, data: unknown): boolean {
  let place = data;
  for (const segment of path.split(".").slice(1)) {
    if (!hasMember(place, segment)) return false;
    place = place[segment];
  }
  return isSameJson(place, equals) && isReadable(data, MAX_LEVELS);
}

/** Whether an event's name fits a pattern: `*` is one segment, `>` at the end one or more. */
export function isMatch(pattern: string, name: string): boolean {
  const wanted = pattern.split(".");
  const segments = name.split(".");
  const isOpen = wanted.at(-1) === ">";
  if (isOpen) wanted.pop();
  if (isOpen ? segments.length <= wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((segment, at) => segment === "*" || segment === segments[at]);
}

/** An array's own members are its places: its `length` is none. */
function hasMember(place: unknown, segment: string): place is Record<string, unknown> {
  if (typeof place !== "object" || place === null) return false;
  return Array.isArray(place) ? /^(0|[1-9]\d*)$/.test(segment) && Number(segment) in place : Object.hasOwn(place, segment);
}

function isSameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const [ours, theirs] = [left as Record<string, unknown>, right as Record<string, unknown>];
  const names = Object.keys(ours);
  return names.length === Object.keys(theirs).length && names.every((name) => Object.hasOwn(theirs, name) && isSameJson(ours[name], theirs[name]));
}

/** Whether the server can read it: no number beyond the doubles, no half of a surrogate pair, not too many levels. */
function isReadable(value: unknown, levels: number): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.entries(value).every(([name, member]) => name.isWellFormed() && isReadable(member, levels - 1));
}
