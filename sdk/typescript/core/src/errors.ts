/** The facts of a failed call to the server. */
export interface ClavigerErrorFacts {
  /** A stable public code, such as `environment_not_found`; `claviger explain CODE` says more. */
  readonly code: string;
  /** The HTTP status or WebSocket close code; 0 when there was no answer. */
  readonly status: number;
  /** What happened, for people. */
  readonly detail: string;
  /** The server's id of the request, for its logs. */
  readonly requestId?: string | undefined;
}

/** A call to the server failed. It never holds an API key or a secret's value. */
export class ClavigerError extends Error implements ClavigerErrorFacts {
  override readonly name = "ClavigerError";
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string | undefined;

  constructor(facts: ClavigerErrorFacts, options?: ErrorOptions) {
    super(`${facts.code}: ${facts.detail}`, options);
    this.code = facts.code;
    this.status = facts.status;
    this.detail = facts.detail;
    this.requestId = facts.requestId;
  }
}

/** A secret that was looked up is not there, or not for this worker's API key, which are not told apart. */
export class SecretNotFoundError extends Error {
  override readonly name = "SecretNotFoundError";
  readonly secret: string;
  readonly environment: string;
  /** `null` if it was looked up in the environment itself. */
  readonly space: string | null;

  constructor(secret: string, environment: string, space: string | null) {
    super(describeMissing(secret, environment, space));
    this.secret = secret;
    this.environment = environment;
    this.space = space;
  }
}

function describeMissing(secret: string, environment: string, space: string | null): string {
  const of = `${shellWord(secret)} --env ${shellWord(environment)}`;
  const missing = `secret "${secret}" is not set in`;
  const reach = "or the worker's API key does not reach it; set it with";
  if (space === null) return `${missing} environment "${environment}", ${reach} \`claviger secret set ${of}\``;
  const where = `${of} --space ${shellWord(space)}`;
  return `${missing} space "${space}" of environment "${environment}", ${reach} \`claviger secret set ${where}\`, or see why with \`claviger secret explain ${where}\``;
}

function shellWord(text: string): string {
  return /^[\w.:/@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Throw it from a function or a step: the run fails at once, without further attempts. */
export class NonRetryableError extends Error {
  override name = "NonRetryableError";
}

/** Throw it from a function or a step: the next attempt starts after the given time instead of the function's backoff. */
export class RetryAfterError extends Error {
  override name = "RetryAfterError";
  /** Milliseconds until the next attempt. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number, message = `try again in ${retryAfterMs} ms`, options?: ErrorOptions) {
    if (!Number.isFinite(retryAfterMs) || retryAfterMs < 0) throw new TypeError("retryAfterMs is a number of milliseconds");
    super(message, options);
    this.retryAfterMs = Math.round(retryAfterMs);
  }
}

/** An error as frames carry it. */
export interface WireError {
  readonly name?: string;
  readonly message?: string;
  readonly stack?: string;
}

/** The remembered error of a step or of an invoked run, thrown again: `name` and `message` are the original's. */
export class StepError extends Error {
  /** The step that failed. */
  readonly step: string;
  /** False if another attempt cannot change the outcome: an invoked run that has failed stays failed. */
  readonly retryable: boolean;

  constructor(step: string, error: WireError, retryable: boolean) {
    super(error.message ?? `step "${step}" failed`);
    this.name = error.name ?? "Error";
    this.step = step;
    this.retryable = retryable;
    if (error.stack !== undefined) this.stack = error.stack;
  }
}

/** Longer messages and stacks would be cut by the server; cutting here keeps frames small. */
const MAX_MESSAGE = 4 * 1024;
const MAX_STACK = 16 * 1024;

/** What was thrown, in words. */
export interface ErrorDescription {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

/** Describes anything that was thrown, for a frame. Never throws itself. */
export function describeError(thrown: unknown): ErrorDescription {
  const { name, message, stack } = describeWhole(thrown);
  const described = { name: cut(name, 200), message: cut(message, MAX_MESSAGE) };
  return stack === undefined ? described : { ...described, stack: cut(stack, MAX_STACK) };
}

/** The same without its limits: what is cut may end within a value, and so cannot be redacted any more. */
export function describeWhole(thrown: unknown): ErrorDescription {
  try {
    if (!(thrown instanceof Error)) return { name: "Error", message: `${String(thrown)} was thrown` };
    const described = { name: String(thrown.name), message: String(thrown.message) };
    return typeof thrown.stack === "string" ? { ...described, stack: thrown.stack } : described;
  } catch {
    return { name: "Error", message: "something that cannot be described was thrown" };
  }
}

function cut(text: string, units: number): string {
  return text.slice(0, units).toWellFormed();
}
