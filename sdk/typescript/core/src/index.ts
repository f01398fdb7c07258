/** What the Claviger SDKs share. Applications import `@claviger/node` or `@claviger/browser`. */
export { Backoff, pause } from "./backoff.js";
export { Client, type EmitOptions, type EmittedEvent } from "./client.js";
export { type Duration, parseDuration, parseInstant } from "./duration.js";
export * from "./errors.js";
export * from "./functions.js";
export { type ClientOptions, HttpApi, parseApiKey, parseBaseUrl, problemError } from "./http.js";
export { encodeJson, type Json, type Jsonify, MAX_JSON_BYTES, NotJsonError, utf8Length } from "./json.js";
export type * from "./protocol.js";
export { LogRedactor } from "./redactor.js";
export { Run, type RunHost } from "./run.js";
export { DeliveredSecrets, type Secrets, type SecretsOwner } from "./secrets.js";
export { type SseMessage, SseParser } from "./sse.js";
export type { InvokeOptions, SentEvent, Step, WaitOptions } from "./step.js";
export { type Gap, type SubscribedEvent, type SubscribeOptions, Subscription } from "./subscription.js";
