import { checkCondition, type Condition } from "./conditions.js";
import { type Duration, parseDuration } from "./duration.js";
import type { Jsonify } from "./json.js";
import type { TriggerEvent } from "./protocol.js";
import type { Secrets } from "./secrets.js";
import type { Step } from "./step.js";

/** What starts a function: an event name, or a pattern with `*` for one segment and `>` for the rest. */
export interface Trigger<Data = any> {
  readonly event: string;
  /** Only events whose data has all of this. */
  readonly match?: readonly Condition[];
  /** Never set; it only carries the type of the event's data: `const paid: Trigger<{ amount: number }> = { event: "paid" }`. */
  readonly data?: Data;
}

/** A secret a function may read. A run whose required secret is not set waits, visibly, until it is. */
export type SecretDeclaration = string | { readonly name: string; readonly required?: boolean };

/** The declared names as literal types. */
export type SecretName<Declared extends readonly SecretDeclaration[]> = Declared[number] extends infer D
  ? D extends string
    ? D
    : D extends { readonly name: infer Name extends string }
      ? Name
      : never
  : never;

/** How failed attempts are repeated. Left-out members take the server's defaults: 4 attempts, 1 s, factor 2, at most 60 s. */
export interface RetryOptions {
  readonly maxAttempts?: number;
  readonly initialDelayMs?: number;
  readonly backoffFactor?: number;
  readonly maxDelayMs?: number;
}

/** How attempts are repeated and bounded. */
export interface FunctionLimits {
  readonly retry?: RetryOptions;
  /** At most so many runs at once, over all workers of a server. */
  readonly concurrency?: { readonly limit: number };
  /** How long one attempt may take; without end by default. */
  readonly timeout?: Duration;
}

/** What a function is called, what starts it and what it may read. */
export interface FunctionConfig<Declared extends readonly SecretDeclaration[], Data> extends FunctionLimits {
  /** Unique within the environment. */
  readonly id: string;
  readonly triggers: readonly Trigger<Data>[];
  /** Only events of these spaces start it; without it those of the environment and of all its spaces. */
  readonly spaces?: readonly string[];
  /** Resolved in the space of the event, with what that inherits from the environment. */
  readonly secrets?: Declared;
}

/** What a handler works with. */
export interface Context<Name extends string = string, Data = any> {
  /** The event that started the run. */
  readonly event: TriggerEvent<Data>;
  /** The declared secrets, as they were when this worker took the job. */
  readonly secrets: Secrets<Name>;
  /** Durable steps: what they return is remembered, so that a later attempt goes on where this one stopped. */
  readonly step: Step;
  /** Aborted when the run is cancelled, out of time, or no longer this worker's. Pass it to `fetch` and the like. */
  readonly signal: AbortSignal;
  /** Counts from 1. */
  readonly attempt: number;
  readonly runId: string;
}

/** The code of a function. Code between steps may run more than once and should have no effects of its own. */
export type Handler<Name extends string, Data, Result> = (context: Context<Name, Data>) => Result | Promise<Result>;

/** A function, ready for a worker. Make one with `createFunction`. */
export interface ClavigerFunction<Data = any, Result = any> {
  readonly id: string;
  /** The function as `hello` declares it. */
  readonly declaration: FunctionDeclaration;
  /** Names of all declared secrets. */
  readonly secretNames: ReadonlySet<string>;
  readonly handler: Handler<any, Data, Result>;
}

/** What invoking a function of that type returns. */
export type ResultOf<F> = F extends ClavigerFunction<any, infer Result> ? Jsonify<Result> : unknown;

/** A function as the `hello` frame carries it. */
export interface FunctionDeclaration {
  readonly id: string;
  readonly triggers: readonly { readonly event: string; readonly match?: readonly Condition[] }[];
  readonly spaces?: readonly string[];
  /** It is a listener: it may look secrets up by name. */
  readonly lookups?: true;
  readonly secrets: readonly { readonly name: string; readonly required: boolean }[];
  readonly retry?: RetryOptions;
  readonly concurrency?: { readonly limit: number };
  readonly timeoutMs?: number;
}

/**
 * Declares a function. The names in `secrets` are inferred, so that `secrets.get` of another name does not compile.
 * Throws a `TypeError` for a configuration no server would take.
 */
export function createFunction<const Declared extends readonly SecretDeclaration[] = [], Data = any, Result = unknown>(
  config: FunctionConfig<Declared, Data>,
  handler: Handler<SecretName<Declared>, Data, Result>,
): ClavigerFunction<Data, Result> {
  if (typeof config.id !== "string" || config.id === "") throw new TypeError("a function needs an id");
  if (typeof handler !== "function") throw new TypeError(`function "${config.id}" needs a handler`);
  checkSpaces(config.spaces, `function "${config.id}"`);
  const secrets = (config.secrets ?? []).map(declareSecret);
  const secretNames = new Set(secrets.map((secret) => secret.name));
  if (secretNames.size !== secrets.length) throw new TypeError(`function "${config.id}" declares a secret twice`);
  const declaration: FunctionDeclaration = {
    id: config.id,
    triggers: config.triggers.map((trigger) => declareTrigger(trigger, config.id)),
    ...(config.spaces && { spaces: [...config.spaces] }),
    secrets,
    ...declareLimits(config),
  };
  return { id: config.id, declaration, secretNames, handler };
}

/** The limits as `hello` declares them. */
export function declareLimits({ retry, concurrency, timeout }: FunctionLimits): Pick<FunctionDeclaration, "retry" | "concurrency" | "timeoutMs"> {
  return {
    ...(retry && { retry: { ...retry } }),
    ...(concurrency && { concurrency: { limit: concurrency.limit } }),
    ...(timeout !== undefined && { timeoutMs: parseDuration(timeout) }),
  };
}

/** Throws a `TypeError` unless these are names, at least one. */
export function checkSpaces(spaces: readonly string[] | undefined, of: string): void {
  if (spaces === undefined) return;
  const areNames = Array.isArray(spaces) && spaces.length > 0 && spaces.every((space) => typeof space === "string" && space !== "");
  if (!areNames) throw new TypeError(`the spaces of ${of} are names, at least one; leave them out for all`);
}

function declareTrigger({ event, match = [] }: Trigger, id: string): FunctionDeclaration["triggers"][number] {
  const conditions = match.map((condition) => checkCondition(condition, `function "${id}"`));
  return conditions.length > 0 ? { event, match: conditions } : { event };
}

function declareSecret(secret: SecretDeclaration): { name: string; required: boolean } {
  const { name, required = false } = typeof secret === "string" ? { name: secret } : secret;
  if (typeof name !== "string" || name === "") throw new TypeError("a declared secret needs a name");
  return { name, required };
}
