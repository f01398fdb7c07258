import { checkSpaces } from "./functions.js";
import { type ClientOptions, HttpApi } from "./http.js";
import { encodeJson } from "./json.js";
import { type SubscribeOptions, Subscription } from "./subscription.js";

/** How long a call may take. */
const CALL_TIMEOUT_MS = 30_000;

/** An event the server has stored. */
export interface EmittedEvent {
  readonly id: string;
  readonly name: string;
  readonly environment: string;
  /** The space it was emitted in, if it was emitted in one. */
  readonly space?: string;
  readonly revision: number;
  /** RFC 3339, UTC. */
  readonly at: string;
}

/** How an event is emitted. */
export interface EmitOptions {
  /** The event's id. The same id twice starts no second run, so a call with an id may be repeated. */
  readonly id?: string;
  /** The space of the event; without it the event is the environment's own. */
  readonly space?: string | undefined;
  readonly signal?: AbortSignal;
}

/** Emits events and subscribes to them, in one environment. */
export class Client {
  readonly #http: HttpApi;
  #environment: string | undefined;

  /** Throws a `ClavigerError` with code `config_invalid` for an unusable URL or key. */
  constructor(options: ClientOptions) {
    this.#http = new HttpApi(options);
    this.#environment = options.environment || undefined;
  }

  /** Emits an event, and returns when the server has stored it. Rejects with a `ClavigerError`. */
  async emit(name: string, data?: unknown, options: EmitOptions = {}): Promise<EmittedEvent> {
    const id = options.id === undefined ? "" : `,"id":${JSON.stringify(options.id)}`;
    const text = data === undefined ? "" : `,"data":${encodeJson(data, `data of event "${name}"`)}`;
    const space = options.space === undefined ? "" : `,"space":${JSON.stringify(options.space)}`;
    const body = `{"name":${JSON.stringify(name)}${text}${id}${space}}`;
    const signal = timeLimit(options.signal);
    const path = `${await this.#environmentPath(signal)}/events`;
    const headers = { "Content-Type": "application/json" };
    const response = await this.#http.call({ path, method: "POST", headers, body, signal });
    return (await response.json()) as EmittedEvent;
  }

  /**
   * Receives events that match a pattern, or any of several. Resolves once the subscription stands: an event emitted
   * from then on will be seen. Interruptions are bridged; events come at least once, in order within a subject. Rejects
   * with a `ClavigerError` if the server refuses.
   */
  async subscribe<Data = any>(patterns: string | readonly string[], options: SubscribeOptions<Data>): Promise<Subscription> {
    const list = typeof patterns === "string" ? [patterns] : patterns;
    if (list.length === 0) throw new TypeError("a subscription needs a pattern");
    checkSpaces(options.spaces, "a subscription");
    const query = [...list.map((pattern) => ["pattern", pattern]), ...(options.spaces ?? []).map((space) => ["space", space])]
      .map(([name, value = ""]) => `${name}=${encodeURIComponent(value)}`)
      .join("&");
    const open = async (cursor: string | undefined, signal: AbortSignal) => {
      const headers = { Accept: "text/event-stream", ...(cursor !== undefined && { "Last-Event-ID": cursor }) };
      const path = `${await this.#environmentPath(signal)}/subscribe?${query}`;
      return this.#http.call({ path, headers, signal });
    };
    const subscription = new Subscription(open, options);
    await subscription.ready;
    return subscription;
  }

  async #environmentPath(signal: AbortSignal): Promise<string> {
    this.#environment ??= await this.#ownEnvironment(signal);
    return `/v1/environments/${encodeURIComponent(this.#environment)}`;
  }

  async #ownEnvironment(signal: AbortSignal): Promise<string> {
    const response = await this.#http.call({ path: "/v1/caller", signal });
    const caller = (await response.json()) as { environment?: string };
    return caller.environment ?? "default";
  }
}

function timeLimit(signal: AbortSignal | undefined): AbortSignal {
  const limit = AbortSignal.timeout(CALL_TIMEOUT_MS);
  return signal ? AbortSignal.any([signal, limit]) : limit;
}
