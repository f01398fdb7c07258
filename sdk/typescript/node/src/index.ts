/** Claviger for Node.js: functions that receive secrets, listeners that look them up, workers that execute both, events. */
import {
  Client,
  type ClientOptions,
  createFunction,
  type EmitOptions,
  type EmittedEvent,
  Listener,
  type ListenerConfig,
  type SubscribeOptions,
  type Subscription,
} from "@claviger/core";
import { fromEnvironment } from "./environment.js";
import { Worker, type WorkerOptions } from "./worker.js";

export {
  ClavigerError,
  type ClavigerFunction,
  Client,
  type ClientOptions,
  type Condition,
  type Context,
  createFunction,
  type Duration,
  type EmitOptions,
  type EmittedEvent,
  type Event,
  type EventFilter,
  type EventSecrets,
  type FunctionConfig,
  type Gap,
  type Json,
  Listener,
  type ListenerConfig,
  type ListenerContext,
  type ListenerEvent,
  type ListenerHandler,
  type LookupOptions,
  NonRetryableError,
  NotJsonError,
  RetryAfterError,
  type RetryOptions,
  type SecretDeclaration,
  SecretNotFoundError,
  type Secrets,
  type SentEvent,
  type Step,
  StepError,
  type SubscribedEvent,
  type SubscribeOptions,
  type Subscription,
  type Trigger,
  type TriggerEvent,
} from "@claviger/core";
export type { Logger } from "./logger.js";
export { Worker, type WorkerOptions } from "./worker.js";

/** A listener without handlers; say with `on` what it handles, and give it to a worker. */
function listener(config: ListenerConfig): Listener {
  return new Listener(config);
}

/** A worker for these functions and listeners; call `start()`. */
function worker(options: WorkerOptions): Worker {
  return new Worker(options);
}

/** A client; what is left out comes from `CLAVIGER_URL`, `CLAVIGER_API_KEY` and `CLAVIGER_ENV`. */
function client(options: Partial<ClientOptions> = {}): Client {
  return new Client({
    url: fromEnvironment("url", options.url),
    apiKey: fromEnvironment("apiKey", options.apiKey),
    environment: fromEnvironment("environment", options.environment),
  });
}

/** Emits an event with the settings of the environment variables; see `Client.emit`. */
async function emit(name: string, data?: unknown, options?: EmitOptions): Promise<EmittedEvent> {
  return client().emit(name, data, options);
}

/** Receives events with the settings of the environment variables; see `Client.subscribe`. */
async function subscribe<Data = any>(patterns: string | readonly string[], options: SubscribeOptions<Data>): Promise<Subscription> {
  return client().subscribe(patterns, options);
}

export const claviger = { createFunction, listener, worker, client, emit, subscribe };
