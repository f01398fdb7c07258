const MAX_CHARACTERS = 200;

/** Makes the ids of a run's steps unique: the second and later use of an id gets `#2`, `#3`, … */
export class StepIds {
  readonly #uses = new Map<string, number>();
  readonly #taken = new Set<string>();

  /** The unique id for the next use of `id`. Throws a `TypeError` for one that is empty or over 200 characters. */
  claim(id: string): string {
    let uses = this.#uses.get(id) ?? 0;
    let unique: string;
    do unique = ++uses === 1 ? id : `${id}#${uses}`;
    while (this.#taken.has(unique));
    check(unique);
    this.#uses.set(id, uses);
    this.#taken.add(unique);
    return unique;
  }
}

function check(id: string): void {
  if (typeof id !== "string" || id === "") throw new TypeError("a step needs an id");
  const tooLong = id.length > MAX_CHARACTERS && [...id].length > MAX_CHARACTERS;
  if (tooLong) throw new TypeError(`the id of a step has at most ${MAX_CHARACTERS} characters`);
  if (!id.isWellFormed()) throw new TypeError("the id of a step is not well-formed text");
}
