import { NonRetryableError, RetryAfterError, StepError } from "@claviger/core";
import { describe, expect, it } from "vitest";
import { deferred, Job, settle } from "./harness.js";

describe("a run of steps", () => {
  it("takes three frames for three steps", async () => {
    const log: string[] = [];
    const job = new Job(async ({ step }) => {
      const a = await step.run("a", () => (log.push("a"), 1));
      const b = await step.run("b", () => (log.push("b"), a + 1));
      return step.run("c", () => (log.push("c"), b + 1));
    });
    expect(await job.pass()).toEqual({ type: "step", run: "run_1", fence: "f1", outcomes: [{ id: "a", kind: "run", result: 1 }] });
    expect(await job.pass()).toMatchObject({ type: "step", outcomes: [{ id: "b", kind: "run", result: 2 }] });
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "c", kind: "run", result: 3 }], result: 3 });
    expect(log).toEqual(["a", "b", "c"]);
    expect(job.isEnded).toBe(true);
    expect(job.sent).toBe(3);
  });

  it("does not start a step before the earlier outcome is acknowledged", async () => {
    const log: string[] = [];
    const job = new Job(async ({ step }) => {
      await step.run("a", () => log.push("a"));
      await step.run("b", () => log.push("b"));
    });
    await job.next();
    await settle();
    expect(log).toEqual(["a"]);
    job.ack();
    await job.pass();
    expect(log).toEqual(["a", "b"]);
  });

  it("answers known steps from memory and runs only the rest", async () => {
    const log: string[] = [];
    const steps = [
      { id: "a", result: { x: 1 } },
      { id: "b", error: { name: "Declined", message: "no funds" } },
    ];
    const job = new Job(
      async ({ step, attempt }) => {
        const a = await step.run("a", () => log.push("a"));
        const error = await step.run("b", () => log.push("b")).catch((caught: StepError) => caught);
        const c = await step.run("c", () => (log.push("c"), "done"));
        return { a, c, attempt, error: error instanceof StepError && `${error.name}: ${error.message} in ${error.step}` };
      },
      { steps, attempt: 2 },
    );
    const result = { a: { x: 1 }, c: "done", attempt: 2, error: "Declined: no funds in b" };
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "c" }], result });
    expect(log).toEqual(["c"]);
  });

  it("runs steps started together in parallel and sends their outcomes together", async () => {
    const [one, two] = [deferred<number>(), deferred<number>()];
    const log: string[] = [];
    const job = new Job(async ({ step }) => {
      const both = await Promise.all([
        step.run("a", () => (log.push("a"), one.promise)),
        step.run("b", () => (log.push("b"), two.promise)),
      ]);
      return step.run("sum", () => both[0] + both[1]);
    });
    await settle();
    expect(log).toEqual(["a", "b"]);
    one.resolve(1);
    two.resolve(2);
    expect((await job.pass()).outcomes.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(await job.pass()).toMatchObject({ type: "complete", result: 3 });
  });

  it("does not let parallel steps that finish at once wait for each other", async () => {
    const job = new Job(({ step }) => Promise.all(["a", "b", "c"].map((id) => step.run(id, () => id))));
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "a" }, { id: "b" }, { id: "c" }], result: ["a", "b", "c"] });
    expect(job.sent).toBe(1);
  });

  it("has at most one unanswered frame and gathers outcomes meanwhile", async () => {
    const [one, two, three] = [deferred(), deferred(), deferred()];
    const job = new Job(({ step }) =>
      Promise.all([step.run("a", () => one.promise), step.run("b", () => two.promise), step.run("c", () => three.promise)]),
    );
    one.resolve();
    expect((await job.next()).outcomes.map(({ id }) => id)).toEqual(["a"]);
    two.resolve();
    await settle();
    expect(job.untaken).toEqual([]);
    three.resolve();
    await settle();
    expect(job.untaken).toEqual([]);
    job.ack();
    expect((await job.pass()).outcomes.map(({ id }) => id)).toEqual(["b", "c"]);
  });

  it("sends an outcome within one turn when the function does something else", async () => {
    const other = deferred();
    const job = new Job(async ({ step }) => {
      await step.run("a", () => 1);
      await other.promise;
    });
    expect(await job.pass()).toMatchObject({ type: "step", outcomes: [{ id: "a" }] });
    await settle();
    expect(job.sent).toBe(1);
    other.resolve();
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [], result: null });
  });

  it("makes repeated ids unique, also against ids that look like that", async () => {
    const job = new Job(async ({ step }) => {
      await Promise.all([step.run("a#2", () => 0), step.run("a", () => 1), step.run("a", () => 2), step.run("a", () => 3)]);
    });
    expect((await job.pass()).outcomes.map(({ id }) => id)).toEqual(["a#2", "a", "a#3", "a#4"]);
  });

  it.each([["empty", ""], ["too long", "x".repeat(201)], ["not text", 7 as unknown as string], ["half a pair", "\ud800"]])(
    "refuses an id that is %s",
    async (_, id) => {
      const job = new Job(({ step }) => step.run(id, () => 1));
      expect(await job.pass()).toMatchObject({ type: "fail", error: { name: "TypeError" } });
    },
  );

  it("accepts an id of 200 characters beyond the basic plane", async () => {
    const job = new Job(({ step }) => step.run("😀".repeat(200), () => 1));
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it("gives the function what a replay would see", async () => {
    const job = new Job(async ({ step }) => {
      const charge = await step.run("a", () => ({ at: new Date(0), note: undefined, plain: 1 }));
      const nothing = await step.run("b", () => {});
      return [typeof charge.at, Object.keys(charge), nothing];
    });
    expect((await job.pass()).outcomes).toEqual([{ id: "a", kind: "run", result: { at: "1970-01-01T00:00:00.000Z", plain: 1 } }]);
    expect((await job.pass()).result).toEqual(["string", ["at", "plain"], null]);
  });

  it.each<[string, unknown, RegExp]>([
    ["a function", { deep: [() => 1] }, /a function at deep\[0\]/],
    ["a bigint", 1n, /a bigint/],
    ["NaN", { x: Number.NaN }, /NaN at x/],
    ["a Map", new Map(), /a Map/],
    ["bytes", new Uint8Array(2), /a Uint8Array/],
    ["a lone surrogate", ["\udc00"], /half a surrogate pair at \[0\]/],
    ["a hole", [undefined], /undefined at \[0\]/],
    ["too much", "x".repeat(262_143), /262145 bytes of JSON; the limit is 262144/],
  ])("fails for good when a step returns %s", async (_, value, message) => {
    const job = new Job(({ step }) => step.run("a", () => value as string));
    const frame = await job.pass();
    expect(frame).toMatchObject({ type: "fail", outcomes: [], retryable: false, error: { name: "NotJsonError" } });
    expect(frame["error"].message).toMatch(message);
  });

  it("fails for good when a value refers to itself, or is nested too deeply", async () => {
    const ring: { self?: unknown } = {};
    ring.self = ring;
    let deep: unknown = 1;
    for (let level = 0; level < 101; level++) deep = [deep];
    expect((await new Job(() => ring).pass())["error"].message).toMatch(/a reference to itself at self/);
    expect((await new Job(() => deep).pass())["error"].message).toMatch(/nested deeper than 100 levels/);
  });

  it("splits outcomes over frames that fit a message", async () => {
    const big = "x".repeat(262_000);
    const job = new Job(async ({ step }) => {
      await Promise.all(Array.from({ length: 9 }, (_, index) => step.run(`s${index}`, () => big)));
      return "done";
    });
    const frames = [await job.pass(), await job.pass(), await job.pass()];
    expect(frames.map(({ type }) => type)).toEqual(["step", "step", "complete"]);
    expect(frames.flatMap(({ outcomes }) => outcomes.map(({ id }) => id))).toEqual(Array.from({ length: 9 }, (_, index) => `s${index}`));
    expect(frames[2]).toMatchObject({ result: "done" });
  });
});

describe("errors", () => {
  it("that leave the function are not remembered, but earlier results are", async () => {
    const job = new Job(async ({ step }) => {
      await step.run("a", () => 1);
      await step.run("b", () => Promise.reject(new RangeError("broken")));
    });
    expect(await job.pass()).toMatchObject({ type: "step", outcomes: [{ id: "a" }] });
    const frame = await job.pass();
    expect(frame).toMatchObject({ type: "fail", outcomes: [], retryable: true, error: { name: "RangeError", message: "broken" } });
    expect(frame["error"].stack).toContain("run.test");
    expect(frame).not.toHaveProperty("retryAfterMs");
    expect(job.warnings).toEqual(['run run_1, attempt 1 of function "payout" failed: RangeError: broken']);
  });

  it("that leave the function take the results of parallel steps along", async () => {
    const slow = deferred<string>();
    const job = new Job(({ step }) => Promise.all([step.run("bad", () => Promise.reject(new Error("x"))), step.run("good", () => slow.promise)]));
    await settle();
    expect(job.sent).toBe(0);
    slow.resolve("kept");
    expect(await job.pass()).toMatchObject({ type: "fail", outcomes: [{ id: "good", result: "kept" }] });
  });

  it("are not remembered because a parallel branch goes on in the same turn", async () => {
    const log: string[] = [];
    const job = new Job(({ step }) =>
      Promise.all([
        step.run("bad", () => Promise.reject(new Error("x"))),
        step.run("b1", () => 1).then(() => step.run("b2", () => log.push("b2"))),
      ]),
    );
    expect(await job.pass()).toMatchObject({ type: "fail", outcomes: [{ id: "b1" }] });
    expect(log).toEqual([]);
  });

  it("that are caught are remembered when the next step starts", async () => {
    const job = new Job(async ({ step }) => {
      const name = await step.run("bad", () => Promise.reject(new TypeError("x"))).catch((error: Error) => error.name);
      return step.run("next", () => name);
    });
    expect(await job.pass()).toMatchObject({ type: "step", outcomes: [{ id: "bad", kind: "run", error: { name: "TypeError", message: "x" } }] });
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "next" }], result: "TypeError" });
  });

  it("that are caught are remembered when the function completes", async () => {
    const job = new Job(({ step }) => step.run("bad", () => Promise.reject(new Error("x"))).catch(() => "fine"));
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "bad", error: { message: "x" } }], result: "fine" });
  });

  it("that are caught are remembered when an open step is announced", async () => {
    const job = new Job(async ({ step }) => {
      await step.run("bad", () => Promise.reject(new Error("x"))).catch(() => {});
      await step.sleep("nap", "5s");
    });
    expect(await job.pass()).toMatchObject({ type: "suspend", outcomes: [{ id: "bad" }, { id: "nap" }] });
  });

  it("stay open while the function neither starts a step nor ends", async () => {
    const other = deferred();
    const job = new Job(async ({ step }) => {
      await step.run("bad", () => Promise.reject(new Error("x"))).catch(() => {});
      await other.promise;
      throw new Error("after all");
    });
    await settle();
    expect(job.sent).toBe(0);
    other.resolve();
    expect(await job.pass()).toMatchObject({ type: "fail", outcomes: [], error: { message: "after all" } });
  });

  it("of a floating step do not end the process", async () => {
    const job = new Job(async ({ step }) => {
      void step.run("floating", () => Promise.reject(new Error("x")));
      return step.run("a", () => 1);
    });
    await settle();
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it.each([
    ["NonRetryableError", () => new NonRetryableError("never"), { retryable: false }],
    ["RetryAfterError", () => new RetryAfterError(1500), { retryable: true, retryAfterMs: 1500 }],
    ["something else", () => "text" as unknown as Error, { retryable: true, error: { name: "Error", message: "text was thrown" } }],
    ["an object that cannot be described", () => Object.create(null) as Error, { retryable: true, error: { name: "Error" } }],
  ])("say how to go on: %s", async (_, make, expected) => {
    const fromStep = new Job(({ step }) => step.run("a", () => Promise.reject(make())));
    expect(await fromStep.pass()).toMatchObject({ type: "fail", ...expected });
    const fromFunction = new Job(() => Promise.reject(make()));
    expect(await fromFunction.pass()).toMatchObject({ type: "fail", ...expected });
  });

  it("are cut to what the server keeps", async () => {
    const error = new Error("m".repeat(10_000));
    error.stack = "s".repeat(40_000);
    const frame = await new Job(() => Promise.reject(error)).pass();
    expect(frame["error"].message).toHaveLength(4096);
    expect(frame["error"].stack).toHaveLength(16_384);
  });

  it("of a handler that throws at once are reported too", async () => {
    const job = new Job(() => {
      throw new Error("at once");
    });
    expect(await job.pass()).toMatchObject({ type: "fail", error: { message: "at once" } });
  });

  it("of the result's form fail for good", async () => {
    expect(await new Job(() => 1n).pass()).toMatchObject({ type: "fail", retryable: false });
  });
});
