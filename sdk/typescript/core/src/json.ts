/** A value JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * What is left of `T` after it has been written as JSON and read again: a `Date` is a string, a function is gone. Steps
 * return this type, because a later attempt reads their results from the journal.
 */
export type Jsonify<T> = unknown extends T
  ? T
  : T extends undefined | void
    ? null
    : T extends string | number | boolean | null
      ? T
      : JsonifyObject<T>;

type JsonifyObject<T> = T extends { toJSON(): infer R }
  ? Jsonify<R>
  : T extends (...args: never[]) => unknown
    ? never
    : T extends readonly unknown[]
      ? { [K in keyof T]: Jsonify<T[K]> }
      : { [K in keyof T as T[K] extends ((...args: never[]) => unknown) | symbol ? never : K]: JsonifyMember<T[K]> };

type JsonifyMember<T> = T extends undefined ? T : Jsonify<T>;

/** The most JSON the server takes for an event's data, a step's result or a run's result, in bytes of UTF-8. */
export const MAX_JSON_BYTES = 256 * 1024;

/** Deeper values are refused here, since the server's JSON reader gives up at 128 levels, envelope included. */
const MAX_DEPTH = 100;

/** A value that JSON cannot carry unchanged, or that is too large. Trying again would not help. */
export class NotJsonError extends Error {
  override readonly name = "NotJsonError";
}

/**
 * Writes a value as JSON text, strictly: what JSON would drop or change silently (functions, `NaN`, a `Map`, …) is an
 * error, so that the first attempt sees what a replay will see. Members that are `undefined` are left out as usual.
 * `what` names the value in errors, for example `result of step "charge"`. `undefined` alone is `null`.
 */
export function encodeJson(value: unknown, what: string): string {
  if (value === undefined || value === null) return "null";
  const problem = findProblem(value, "", []);
  if (problem !== undefined) throw new NotJsonError(`${what} is not JSON: ${problem}`);
  // A `toJSON` of the value itself may say that there is nothing to write.
  const text = JSON.stringify(value) ?? "null";
  const bytes = utf8Length(text);
  if (bytes > MAX_JSON_BYTES) {
    throw new NotJsonError(`${what} is ${bytes} bytes of JSON; the limit is ${MAX_JSON_BYTES}`);
  }
  return text;
}

/** The value a reader of `text` gets; `original` is used as it is when it cannot differ. */
export function decodeEncoded(original: unknown, text: string): unknown {
  return typeof original === "object" ? JSON.parse(text) : (original ?? null);
}

/** How many bytes `text` takes in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair counts two of the four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

function findProblem(value: unknown, path: string, parents: object[]): string | undefined {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? undefined : at(path, "text with half a surrogate pair");
    case "number":
      return Number.isFinite(value) ? undefined : at(path, `${value}`);
    case "boolean":
    case "undefined":
      return undefined;
    case "object":
      return value === null ? undefined : findObjectProblem(value, path, parents);
    default:
      return at(path, `a ${typeof value}`);
  }
}

function findObjectProblem(value: object, path: string, parents: object[]): string | undefined {
  if (parents.includes(value)) return at(path, "a reference to itself");
  if (parents.length >= MAX_DEPTH) return at(path, `nested deeper than ${MAX_DEPTH} levels`);
  const within = [...parents, value];
  if ("toJSON" in value && typeof value.toJSON === "function") return findProblem(value.toJSON(""), path, within);
  if (Array.isArray(value)) return findArrayProblem(value, path, within);
  const unfit = unfitClass(value);
  if (unfit !== undefined) return at(path, `a ${unfit}`);
  for (const [key, member] of Object.entries(value)) {
    if (!key.isWellFormed()) return at(path, "a key with half a surrogate pair");
    const problem = findProblem(member, `${path}.${key}`, within);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function findArrayProblem(value: readonly unknown[], path: string, parents: object[]): string | undefined {
  for (const [index, member] of value.entries()) {
    const problem = member === undefined ? at(`${path}[${index}]`, "undefined") : findProblem(member, `${path}[${index}]`, parents);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Objects that JSON writes as `{}` or as something unlike themselves. */
function unfitClass(value: object): string | undefined {
  if (value instanceof Map || value instanceof Set || value instanceof WeakMap || value instanceof WeakSet) {
    return value.constructor.name;
  }
  if (value instanceof Promise) return "Promise (is an `await` missing?)";
  if (value instanceof Error) return "Error";
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.constructor.name;
  return value instanceof RegExp ? "RegExp" : undefined;
}

function at(path: string, problem: string): string {
  return path === "" ? problem : `${problem} at ${path.replace(/^\./, "")}`;
}
