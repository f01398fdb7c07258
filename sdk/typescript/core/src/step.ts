import type { Condition } from "./conditions.js";
import { type Duration, parseDuration, parseInstant } from "./duration.js";
import type { ClavigerFunction, ResultOf } from "./functions.js";
import { encodeJson, type Jsonify } from "./json.js";
import type { Event } from "./protocol.js";

/** Waiting for an event. */
export interface WaitOptions {
  /** An event name or pattern. */
  readonly event: string;
  /** Only an event whose member at `path`, such as `data.order`, equals this value. */
  readonly match?: Condition;
  /** How long to wait; without end by default. */
  readonly timeout?: Duration;
}

/** Invoking another function. */
export interface InvokeOptions<F> {
  /** The function, or its id. */
  readonly function: F;
  /** The data of the event it gets. */
  readonly data?: unknown;
  readonly timeout?: Duration;
}

/** What a sent event became. */
export interface SentEvent {
  readonly id: string;
  readonly revision: number;
}

/**
 * The durable steps of a run. Each has an id that says what it does; a second use of an id in one run counts as `id#2`
 * and so on. Call the same steps in the same order for the same inputs, since a later attempt finds results by these ids.
 */
export interface Step {
  /**
   * Runs `action` and remembers what it returns, or the error it throws if the function catches it. It may run again
   * if the worker or the server ends before the result is stored, so give effects an idempotency key.
   */
  run<T>(id: string, action: () => T): Promise<Jsonify<Awaited<T>>>;
  /** Lets time pass; the run occupies no worker meanwhile. */
  sleep(id: string, duration: Duration): Promise<void>;
  /** Waits for an instant. */
  sleepUntil(id: string, instant: Date | string | number): Promise<void>;
  /** Waits for the next event that fits; `null` when the time is over. */
  waitForEvent<Data = any>(id: string, options: WaitOptions): Promise<Event<Data> | null>;
  /** Runs another function and returns its result. Throws a `StepError` when that run fails. */
  invoke<F extends ClavigerFunction | string>(id: string, options: InvokeOptions<F>): Promise<ResultOf<F>>;
  /** Emits an event in the space of the run, once even if the function is repeated. */
  sendEvent(id: string, event: { readonly name: string; readonly data?: unknown }): Promise<SentEvent>;
}

/** The kinds of step that end outside the function. */
export type OpenKind = "sleep" | "waitForEvent" | "invoke";

/** What the step functions need of a run. Each method claims the id, and answers from memory if it can. */
export interface StepHost {
  runStep(id: string, action: () => unknown): Promise<unknown>;
  /** `describe` gives the outcome's further members, as JSON text; it is called for a step not announced before. */
  openStep(id: string, kind: OpenKind, describe: () => string): Promise<unknown>;
  sendStep(id: string, describe: () => string): Promise<unknown>;
}

/** The step functions over a run. They need no `this`, so they may be taken apart. */
export function createStep(host: StepHost): Step {
  const sleep = (id: string, until: () => number) =>
    host.openStep(id, "sleep", () => `"until":${until()}`) as Promise<void>;
  return {
    run: (id, action) => host.runStep(id, action) as Promise<never>,
    sleep: (id, duration) => sleep(id, () => Date.now() + parseDuration(duration)),
    sleepUntil: (id, instant) => sleep(id, () => parseInstant(instant)),
    waitForEvent: (id, options) => host.openStep(id, "waitForEvent", () => describeWait(id, options)) as Promise<never>,
    invoke: (id, options) => host.openStep(id, "invoke", () => describeInvoke(id, options)) as Promise<never>,
    sendEvent: (id, event) => host.sendStep(id, () => describeEvent(id, event)) as Promise<SentEvent>,
  };
}

function describeWait(id: string, { event, match, timeout }: WaitOptions): string {
  const equals = match && encodeJson(match.equals, `match of step "${id}"`);
  const wanted = match ? `,"match":{"path":${JSON.stringify(match.path)},"equals":${equals}}` : "";
  return `"event":${JSON.stringify(event)}${wanted}${describeTimeout(timeout)}`;
}

function describeInvoke(id: string, { function: target, data, timeout }: InvokeOptions<ClavigerFunction | string>): string {
  const name = typeof target === "string" ? target : target.id;
  return `"function":${JSON.stringify(name)}${describeData(id, data)}${describeTimeout(timeout)}`;
}

function describeEvent(id: string, { name, data }: { readonly name: string; readonly data?: unknown }): string {
  return `"event":${JSON.stringify(name)}${describeData(id, data)}`;
}

function describeData(id: string, data: unknown): string {
  return data === undefined ? "" : `,"data":${encodeJson(data, `data of step "${id}"`)}`;
}

function describeTimeout(timeout: Duration | undefined): string {
  return timeout === undefined ? "" : `,"timeoutMs":${parseDuration(timeout)}`;
}
