import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checkCondition, isHeld } from "../src/conditions.js";

interface Vector {
  readonly name: string;
  readonly path: string;
  readonly equals: string;
  readonly data: string;
  readonly holds: boolean;
}

const vectors: { conditions: Vector[] } = JSON.parse(readFileSync(new URL("../../../../spec/vectors/conditions.json", import.meta.url), "utf8"));

/** As a listener decides it: a path that can never hold is refused when the handler is registered. */
function holds({ path, equals, data }: Vector): boolean {
  if (path !== "data" && !path.startsWith("data.")) {
    expect(() => checkCondition({ path, equals: JSON.parse(equals) }, "a test")).toThrow(/"data"/);
    return false;
  }
  return isHeld(checkCondition({ path, equals: JSON.parse(equals) }, "a test"), JSON.parse(data));
}

describe("conditions", () => {
  it.each(vectors.conditions)("hold as in the vectors: $name", (vector) => {
    expect(holds(vector)).toBe(vector.holds);
  });
});
