import type { Context, StepRecord } from "@claviger/core";
import { describe, expect, it } from "vitest";
import { Job, type Sent } from "./harness.js";

type Handler = (context: Context, ran: (step: string) => void) => Promise<unknown>;

/** Functions whose result does not depend on how often they are interrupted. */
const HANDLERS: Record<string, Handler> = {
  sequence: async ({ step }, ran) => {
    let sum = 0;
    for (let index = 0; index < 4; index++) sum += await step.run("add", () => (ran(index === 0 ? "add" : `add#${index + 1}`), index));
    return sum;
  },
  branches: async ({ step }, ran) => {
    const branch = async (name: string) => {
      const one = await step.run(`${name}1`, () => (ran(`${name}1`), 1));
      await step.sleep(`${name}-nap`, 10);
      return step.run(`${name}2`, () => (ran(`${name}2`), one + 1));
    };
    return Promise.all([branch("a"), branch("b"), step.run("c", () => (ran("c"), "c"))]);
  },
  caught: async ({ step }, ran) => {
    const bad = () => {
      ran("bad");
      throw new RangeError("no");
    };
    const name = await step.run("bad", bad).catch((error: Error) => error.name);
    const settled = await Promise.allSettled([step.run("worse", () => Promise.reject(new Error("x"))), step.run("fine", () => (ran("fine"), 1))]);
    return [name, settled.map(({ status }) => status), await step.run("end", () => (ran("end"), "end"))];
  },
  events: async ({ step }, ran) => {
    const answer = step.waitForEvent("answer", { event: "answered" });
    const sent = await step.sendEvent("ask", { name: "asked" });
    const called = await step.invoke("call", { function: "other" });
    return [sent.revision, called, (await answer)?.data, await step.run("last", () => (ran("last"), true))];
  },
};

/** What the server makes of an outcome. */
function keep(outcome: Sent["outcomes"][number]): StepRecord {
  const { id, kind } = outcome;
  if (kind === "sendEvent") return { id, result: { id: `event-${id}`, revision: 7 } };
  if (kind !== "run") return { id, open: kind };
  return "error" in outcome ? { id, error: outcome["error"] as object } : { id, result: outcome["result"] };
}

function finishOpen(journal: Map<string, StepRecord>): void {
  const results: Record<string, unknown> = { sleep: null, invoke: "output", waitForEvent: { id: "e2", name: "answered", data: 42, at: 1 } };
  for (const { id, open } of journal.values()) if (open) journal.set(id, { id, result: results[open] });
}

interface Outcome {
  readonly result: unknown;
  readonly frames: number;
}

/** Runs a function to its end; the connection is lost after frame number `lostAt`, which is `stored` or not. */
async function play(handler: Handler, lostAt: number, stored: boolean): Promise<Outcome> {
  const journal = new Map<string, StepRecord>();
  let frames = 0;
  for (;;) {
    const done = new Set([...journal.keys()]);
    const ran = (step: string) => expect(done, `step ${step} ran again`).not.toContain(step);
    const job = new Job((context) => handler(context, ran), { steps: [...journal.values()] });
    for (;;) {
      const frame = await job.next();
      frames += 1;
      const isLost = frames === lostAt;
      if (!isLost || stored) for (const outcome of frame.outcomes) if (!journal.has(outcome.id)) journal.set(outcome.id, keep(outcome));
      if (frame.type === "complete" && (!isLost || stored)) return { result: frame["result"], frames };
      expect(frame.type).not.toBe("fail");
      if (isLost) job.run.cancel("lost");
      else job.ack(frame.outcomes.filter(({ kind }) => kind === "sendEvent").map(keep), frame.type !== "step");
      if (frame.type === "suspend" && (!isLost || stored)) finishOpen(journal);
      if (job.isEnded) break;
    }
  }
}

describe.each(Object.entries(HANDLERS))("the function `%s`", (_, handler) => {
  it("has the same result wherever the connection is lost, and repeats no stored step", async () => {
    const calm = await play(handler, Infinity, true);
    expect(calm.frames).toBeGreaterThan(1);
    for (let lostAt = 1; lostAt <= calm.frames; lostAt++) {
      for (const stored of [true, false]) {
        expect((await play(handler, lostAt, stored)).result, `lost at frame ${lostAt}, stored: ${stored}`).toEqual(calm.result);
      }
    }
  });
});
