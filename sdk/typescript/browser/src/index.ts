/** Claviger in a web page: `claviger.configure(…)` once, then `claviger.subscribe(…)`. Use a key with the role `subscriber`. */
import { Client, type ClientOptions, type SubscribeOptions, type Subscription } from "@claviger/core";

export {
  ClavigerError,
  Client,
  type ClientOptions,
  type EmitOptions,
  type EmittedEvent,
  type Gap,
  type SubscribedEvent,
  type SubscribeOptions,
  type Subscription,
} from "@claviger/core";

/** As `ClientOptions`; the URL is the page's own origin if it is left out. */
export type BrowserOptions = Omit<ClientOptions, "url"> & { readonly url?: string };

let configured: Client | undefined;

/** A client of its own, apart from `configure`. Throws a `ClavigerError` for an unusable URL or key. */
function client(options: BrowserOptions): Client {
  const { location } = globalThis as { readonly location?: { readonly origin: string } };
  return new Client({ ...options, url: options.url ?? location?.origin ?? "" });
}

/** Says which server `claviger.subscribe` uses. Subscriptions that stand already keep theirs. */
function configure(options: BrowserOptions): void {
  configured = client(options);
}

/** Receives events that match a pattern, or any of several; see `Client.subscribe`. */
async function subscribe<Data = any>(patterns: string | readonly string[], options: SubscribeOptions<Data>): Promise<Subscription> {
  if (!configured) throw new Error("call claviger.configure({ url, apiKey }) first");
  return configured.subscribe(patterns, options);
}

export const claviger = { configure, client, subscribe };
