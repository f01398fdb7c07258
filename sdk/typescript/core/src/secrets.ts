import type { DeliveredSecret } from "./protocol.js";
import { textValue, valueBytes } from "./value-forms.js";

/** The secrets of one job. It shows names, never values, to `console.log`, `JSON.stringify` and the like. */
export interface Secrets<Name extends string = string> {
  /**
   * The value as text. Throws if the secret is not set in the run's environment, is not declared by the function, or is
   * not UTF-8.
   */
  get(name: Name): string;
  /** The value as a fresh copy of its bytes. Throws like `get`, but takes any bytes. */
  getBytes(name: Name): Uint8Array;
  /** Whether the secret is declared and set. */
  has(name: Name): boolean;
}

/** What a job's secrets belong to. */
export interface SecretsOwner {
  readonly function: string;
  readonly environment: string;
  /** The space of the event, in which the secrets were resolved. */
  readonly space?: string | undefined;
  readonly declared: ReadonlySet<string>;
  /** Receives a line when code asks `has` for an undeclared name. */
  readonly warn: (message: string) => void;
}

/** Function and name of each warning given in this process. */
const warned = new Set<string>();

/** `Secrets` over what a job frame delivered. */
export class DeliveredSecrets implements Secrets {
  // Private members are invisible to serializers, spreads and inspection. A Map has no inherited entries.
  readonly #delivered = new Map<string, DeliveredSecret>();
  readonly #owner: SecretsOwner;

  constructor(delivered: readonly DeliveredSecret[], owner: SecretsOwner) {
    this.#owner = owner;
    for (const secret of delivered) this.#delivered.set(secret.name, secret);
  }

  get(name: string): string {
    return textValue(this.#find(name));
  }

  getBytes(name: string): Uint8Array {
    return valueBytes(this.#find(name));
  }

  has(name: string): boolean {
    if (this.#owner.declared.has(name)) return this.#delivered.has(name);
    const { function: owner, warn } = this.#owner;
    const key = JSON.stringify([owner, name]);
    if (!warned.has(key)) {
      warned.add(key);
      warn(`secret "${name}" is not declared by function "${owner}", so it is never there`);
    }
    return false;
  }

  toJSON(): { names: string[] } {
    return { names: [...this.#delivered.keys()] };
  }

  toString(): string {
    return `Secrets(${[...this.#delivered.keys()].join(", ")})`;
  }

  /** What Node's `util.inspect` and `console.log` show. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  #find(name: string): DeliveredSecret {
    const { declared, function: owner, environment, space } = this.#owner;
    if (!declared.has(name)) throw new Error(`secret "${name}" is not declared by function "${owner}"`);
    const secret = this.#delivered.get(name);
    const place = space === undefined ? "" : `space "${space}" of `;
    if (secret === undefined) throw new Error(`secret "${name}" is not set in ${place}environment "${environment}"`);
    return secret;
  }
}
