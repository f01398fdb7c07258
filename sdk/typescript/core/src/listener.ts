import { checkCondition, type Condition, isHeld, isMatch } from "./conditions.js";
import { describeWhole } from "./errors.js";
import { type EventSecrets, eventSecrets } from "./event-secrets.js";
import { isFinal } from "./failure.js";
import { checkSpaces, declareLimits, type FunctionDeclaration, type FunctionLimits } from "./functions.js";
import type { Json } from "./json.js";
import type { Lookups } from "./lookups.js";
import type { TriggerEvent } from "./protocol.js";

/** What a listener is called, whose events it gets, and how its failed attempts are repeated. */
export interface ListenerConfig extends FunctionLimits {
  /** Unique within the environment, among functions too. Workers with a listener of the same id share its events. */
  readonly id: string;
  /** Only events of these spaces; without it those of the environment and of all its spaces. */
  readonly spaces?: readonly string[];
}

/** An event that a listener handles. */
export interface ListenerEvent<Data = any> extends TriggerEvent<Data> {
  readonly secrets: EventSecrets;
}

/** What a handler may want to know besides its event. */
export interface ListenerContext {
  /** Aborted when the run is cancelled, out of time, or no longer this worker's. Pass it to `fetch` and the like. */
  readonly signal: AbortSignal;
  /** Counts from 1. */
  readonly attempt: number;
  readonly runId: string;
}

/** Paths such as `data.kind` with the values that an event must have there. All of them must hold. */
export type EventFilter = Readonly<Record<string, Json>>;

/** Handles an event. What it returns is not kept; if it throws, the event comes again. */
export type ListenerHandler<Data = any> = (event: ListenerEvent<Data>, context: ListenerContext) => unknown;

/** What a listener needs of the run in which it handles an event. */
export interface ListenerHost extends ListenerContext {
  readonly event: TriggerEvent;
  readonly lookups: Lookups;
  /** Runs `action` unless an earlier attempt has. That it failed is not kept: the next attempt runs it again. */
  runOnce(step: string, action: () => Promise<void>): Promise<unknown>;
  warn(message: string): void;
}

/** A listener as a worker executes it. */
export interface ListenerFunction {
  readonly id: string;
  readonly declaration: FunctionDeclaration;
  react(host: ListenerHost): Promise<void>;
}

interface Registration {
  readonly pattern: string;
  readonly conditions: readonly Condition[];
  readonly handler: ListenerHandler;
  /** Names its step: `on/1` is the first handler that was registered. */
  readonly step: string;
}

/** Reacts to events, and looks secrets up while it does. Make one with `claviger.listener`, give it to a worker. */
export class Listener {
  readonly id: string;
  readonly #config: ListenerConfig;
  readonly #registrations: Registration[] = [];
  #isInUse = false;

  /** Throws a `TypeError` for a configuration no server would take. */
  constructor(config: ListenerConfig) {
    if (typeof config.id !== "string" || config.id === "") throw new TypeError("a listener needs an id");
    checkSpaces(config.spaces, `listener "${config.id}"`);
    this.id = config.id;
    this.#config = config;
  }

  /**
   * Handles the events whose name fits `pattern`, in which `*` is one segment and `>` the rest, and whose data has what
   * `filter` says. Handlers that fit the same event run one after the other, in the order of registration.
   */
  on<Data = any>(pattern: string, handler: ListenerHandler<Data>): this;
  on<Data = any>(pattern: string, filter: EventFilter, handler: ListenerHandler<Data>): this;
  on(pattern: string, second: EventFilter | ListenerHandler, third?: ListenerHandler): this {
    const label = `listener "${this.id}"`;
    const [filter, handler] = typeof second === "function" ? [{}, second] : [second, third];
    if (this.#isInUse) throw new TypeError(`${label} is in use by a worker; register its handlers before`);
    if (typeof pattern !== "string" || pattern === "") throw new TypeError(`a handler of ${label} needs a pattern`);
    if (typeof handler !== "function") throw new TypeError(`"${pattern}" of ${label} needs a handler`);
    const conditions = Object.entries(filter).map(([path, equals]) => checkCondition({ path, equals }, label));
    this.#registrations.push({ pattern, conditions, handler, step: `on/${this.#registrations.length + 1}` });
    return this;
  }

  /** The listener for a worker, which begins to use it. Throws a `TypeError` if it has no handler. */
  prepare(): ListenerFunction {
    if (this.#registrations.length === 0) throw new TypeError(`listener "${this.id}" has no handler`);
    this.#isInUse = true;
    return { id: this.id, declaration: this.#declare(), react: (host) => this.#react(host) };
  }

  #declare(): FunctionDeclaration {
    const triggers = this.#registrations.map(({ pattern: event, conditions }) => ({ event, ...(conditions.length > 0 && { match: conditions }) }));
    // Handlers for the same events share a trigger: their number is limited.
    const unique = new Map(triggers.map((trigger) => [JSON.stringify(trigger), trigger]));
    const { id, spaces } = this.#config;
    return { id, triggers: [...unique.values()], secrets: [], lookups: true, ...(spaces && { spaces: [...spaces] }), ...declareLimits(this.#config) };
  }

  async #react(host: ListenerHost): Promise<void> {
    const fitting = this.#registrations.filter((registration) => fits(registration, host.event));
    const [first] = fitting;
    if (first === undefined) throw new Error(`listener "${this.id}" of this worker has no handler for event "${host.event.name}"`);
    const event = { ...host.event, secrets: eventSecrets(host.lookups) };
    if (fitting.length === 1) await first.handler(event, handlerContext(host));
    else await this.#runEach(fitting, event, host);
  }

  /** One handler's failure does not keep the others from the event. Throws an error that another attempt may end, if any. */
  async #runEach(registrations: readonly Registration[], event: ListenerEvent, host: ListenerHost): Promise<void> {
    const thrown: unknown[] = [];
    for (const { step, pattern, handler } of registrations) {
      try {
        await host.runOnce(step, async () => void (await handler(event, handlerContext(host))));
      } catch (error) {
        const { name, message } = describeWhole(error);
        host.warn(`handler "${step}" of listener "${this.id}" for "${pattern}" failed: ${name}: ${message}`);
        thrown.push(error);
      }
    }
    if (thrown.length > 0) throw thrown.find((error) => !isFinal(error)) ?? thrown[0];
  }
}

function fits({ pattern, conditions }: Registration, event: TriggerEvent): boolean {
  return isMatch(pattern, event.name) && conditions.every((condition) => isHeld(condition, event.data));
}

function handlerContext(host: ListenerHost): ListenerContext {
  const { attempt, runId } = host;
  return {
    attempt,
    runId,
    get signal() {
      return host.signal;
    },
  };
}
