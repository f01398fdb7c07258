import { findSecret, type LookupOptions, type Lookups } from "./lookups.js";
import { textValue, valueBytes } from "./value-forms.js";

/**
 * Looks secrets up while an event is handled, by name: in the event's space, with what it inherits, unless the options
 * say otherwise. A value is asked for once per event, and again when it has changed. The event shows no value to
 * `console.log`, `JSON.stringify` and the like.
 */
export interface EventSecrets {
  /**
   * The value as text. Rejects with a `SecretNotFoundError` if there is none, or none that the worker's key reaches; with
   * an `Error` if the value is not UTF-8; with a `ClavigerError` if the server cannot say; with the signal's reason when
   * the run is over for this worker.
   */
  (name: string, options?: LookupOptions): Promise<string>;
  /** The value as a fresh copy of its bytes. Rejects as for text, but takes any bytes. */
  getBytes(name: string, options?: LookupOptions): Promise<Uint8Array>;
  /** Whether there is such a secret, and the worker's key reaches it. An empty value is one. */
  has(name: string, options?: LookupOptions): Promise<boolean>;
}

/** `event.secrets` over the look-ups of a job. */
export function eventSecrets(lookups: Lookups): EventSecrets {
  const get = async (name: string, options?: LookupOptions) => textValue(await findSecret(lookups, name, options));
  const getBytes = async (name: string, options?: LookupOptions) => valueBytes(await findSecret(lookups, name, options));
  const has = async (name: string, options?: LookupOptions) => (await lookups.find(lookups.place(name, options))) !== undefined;
  return Object.freeze(Object.assign(forgivable(get), { getBytes: forgivable(getBytes), has: forgivable(has) }));
}

/** A look-up that no code awaits must not end the worker's process. */
function forgivable<T>(look: (name: string, options?: LookupOptions) => Promise<T>): (name: string, options?: LookupOptions) => Promise<T> {
  return (name, options) => {
    const found = look(name, options);
    found.catch(() => {});
    return found;
  };
}
