/** What the Claviger SDKs share. Applications import `@claviger/node` or `@claviger/browser`. */
export { Backoff, pause } from "./backoff.js";
export { Client, type EmitOptions, type EmittedEvent } from "./client.js";
export type { Condition } from "./conditions.js";
export { type Duration, parseDuration, parseInstant } from "./duration.js";
export * from "./errors.js";
export type { EventSecrets } from "./event-secrets.js";
export {
  type ClavigerFunction,
  type Context,
  createFunction,
  type FunctionConfig,
  type FunctionDeclaration,
  type FunctionLimits,
  type Handler,
  type ResultOf,
  type RetryOptions,
  type SecretDeclaration,
  type SecretName,
  type Trigger,
} from "./functions.js";
export { type ClientOptions, HttpApi, parseApiKey, parseBaseUrl, problemError } from "./http.js";
export { encodeJson, type Json, type Jsonify, MAX_JSON_BYTES, NotJsonError, utf8Length } from "./json.js";
export {
  type EventFilter,
  Listener,
  type ListenerConfig,
  type ListenerContext,
  type ListenerEvent,
  type ListenerFunction,
  type ListenerHandler,
} from "./listener.js";
export type { LookupOptions } from "./lookups.js";
export type * from "./protocol.js";
export { LogRedactor } from "./redactor.js";
export { type Executable, Run, type RunHost } from "./run.js";
export { DeliveredSecrets, type Secrets, type SecretsOwner } from "./secrets.js";
export { type SseMessage, SseParser } from "./sse.js";
export type { InvokeOptions, SentEvent, Step, WaitOptions } from "./step.js";
export { type Gap, type SubscribedEvent, type SubscribeOptions, Subscription } from "./subscription.js";
