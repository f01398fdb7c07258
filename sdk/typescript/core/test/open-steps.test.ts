import { NonRetryableError, StepError } from "@claviger/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { deferred, Job, settle } from "./harness.js";

afterEach(() => {
  vi.useRealTimers();
});

const NOW = 1_790_000_000_000;

describe("an open step", () => {
  it("suspends the run when it is all that is awaited", async () => {
    vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
    let goesOn = false;
    const job = new Job(async ({ step }) => {
      await step.run("a", () => 1);
      await step.sleep("nap", "5s");
      goesOn = true;
    });
    const outcomes = [{ id: "a", kind: "run", result: 1 }, { id: "nap", kind: "sleep", until: NOW + 5000 }];
    expect(await job.pass()).toEqual({ type: "suspend", run: "run_1", fence: "f1", outcomes });
    await settle();
    expect([job.isEnded, job.sent, goesOn]).toEqual([true, 1, false]);
  });

  it("is not announced again, and the run goes on when it is finished", async () => {
    const handler = async ({ step }: any) => {
      const [, other] = await Promise.all([step.sleep("nap", 10), step.waitForEvent("other", { event: "x" })]);
      return other.data;
    };
    const first = new Job(handler);
    expect((await first.pass()).outcomes.map(({ id }) => id)).toEqual(["nap", "other"]);
    const second = new Job(handler, { steps: [{ id: "nap", result: null }, { id: "other", open: "waitForEvent" }] });
    expect(await second.pass()).toMatchObject({ type: "suspend", outcomes: [] });
    const event = { id: "e2", name: "x", data: 7, at: NOW };
    const third = new Job(handler, { steps: [{ id: "nap" }, { id: "other", result: event }] });
    expect(await third.pass()).toMatchObject({ type: "complete", result: 7 });
  });

  it("is announced while other steps still run", async () => {
    const slow = deferred<number>();
    const job = new Job(({ step }) => Promise.all([step.run("slow", () => slow.promise), step.sleep("nap", 10)]));
    expect(await job.pass()).toMatchObject({ type: "step", outcomes: [{ id: "nap", kind: "sleep" }] });
    await settle();
    expect(job.sent).toBe(1);
    slow.resolve(1);
    expect(await job.pass()).toMatchObject({ type: "suspend", outcomes: [{ id: "slow" }] });
  });

  it("is announced before a later step starts", async () => {
    const log: string[] = [];
    const job = new Job(async ({ step }) => {
      const answer = step.waitForEvent("answer", { event: "answered" });
      await step.run("ask", () => log.push("ask"));
      await answer;
    });
    expect(await job.next()).toMatchObject({ type: "step", outcomes: [{ id: "answer" }] });
    await settle();
    expect(log).toEqual([]);
    job.ack();
    expect(await job.pass()).toMatchObject({ type: "suspend", outcomes: [{ id: "ask" }] });
  });

  it("that nobody awaits does not suspend the run", async () => {
    const other = deferred();
    const job = new Job(async ({ step }) => {
      const nap = step.sleep("nap", "1h");
      await other.promise;
      await Promise.race([nap, step.run("a", () => 1)]);
      return "done";
    });
    expect(await job.pass()).toMatchObject({ type: "step", outcomes: [{ id: "nap" }] });
    await settle();
    expect(job.sent).toBe(1);
    other.resolve();
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "a" }], result: "done" });
  });

  it("does not suspend the run before a pending frame is answered", async () => {
    const job = new Job(async ({ step }) => {
      await step.run("a", () => 1);
      await step.run("b", () => 2);
      await step.sleep("nap", 1);
    });
    await job.next();
    await settle();
    expect(job.sent).toBe(1);
    job.ack();
    expect(await job.pass()).toMatchObject({ type: "suspend", outcomes: [{ id: "b" }, { id: "nap" }] });
  });

  it("does not make an error count that the function may still let out", async () => {
    const job = new Job(({ step }) => Promise.allSettled([step.run("bad", () => Promise.reject(new Error("x"))), step.sleep("nap", 1)]));
    expect(await job.pass()).toMatchObject({ type: "suspend", outcomes: [{ id: "nap" }] });
  });

  it("that had an outcome already goes on with it", async () => {
    const slow = deferred<number>();
    const job = new Job(({ step }) => Promise.all([step.run("slow", () => slow.promise), step.waitForEvent("w", { event: "x" })]));
    await job.pass([{ id: "w", result: null }]);
    slow.resolve(1);
    expect(await job.pass()).toMatchObject({ type: "complete", result: [1, null] });
  });

  it("describes what it waits for", async () => {
    vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
    const job = new Job(({ step }) =>
      Promise.all([
        step.sleep("number", 250),
        step.sleepUntil("date", new Date(5)),
        step.sleepUntil("text", "2030-01-01T00:00:00Z"),
        step.sleepUntil("ms", 17),
        step.waitForEvent("wait", { event: "order.*", match: { path: "data.order", equals: { n: 1 } }, timeout: "3d" }),
        step.waitForEvent("bare", { event: "x" }),
        step.invoke("call", { function: "other", data: { a: 1 }, timeout: 100 }),
        step.invoke("plain", { function: "other" }),
      ]),
    );
    expect((await job.pass()).outcomes).toEqual([
      { id: "number", kind: "sleep", until: NOW + 250 },
      { id: "date", kind: "sleep", until: 5 },
      { id: "text", kind: "sleep", until: Date.UTC(2030, 0) },
      { id: "ms", kind: "sleep", until: 17 },
      { id: "wait", kind: "waitForEvent", event: "order.*", match: { path: "data.order", equals: { n: 1 } }, timeoutMs: 259_200_000 },
      { id: "bare", kind: "waitForEvent", event: "x" },
      { id: "call", kind: "invoke", function: "other", data: { a: 1 }, timeoutMs: 100 },
      { id: "plain", kind: "invoke", function: "other" },
    ]);
  });

  it.each<[string, (step: any) => Promise<unknown>]>([
    ["duration", (step) => step.sleep("x", "soon")],
    ["negative duration", (step) => step.sleep("x", -1)],
    ["instant", (step) => step.sleepUntil("x", "someday")],
    ["timeout", (step) => step.waitForEvent("x", { event: "e", timeout: "1 week" })],
    ["data", (step) => step.invoke("x", { function: "f", data: 1n })],
  ])("with a bad %s throws, announcing nothing", async (_, call) => {
    expect(await new Job(({ step }) => call(step)).pass()).toMatchObject({ type: "fail", outcomes: [] });
  });

  it("that was invoked and failed fails the run without further attempts", async () => {
    const steps = [{ id: "call", error: { name: "Declined", message: "no" } }];
    const job = new Job(({ step }) => step.invoke("call", { function: "other" }), { steps });
    expect(await job.pass()).toMatchObject({ type: "fail", retryable: false, error: { name: "Declined", message: "no" } });
    const replay = new Job(({ step }) => step.run("call", () => 1), { steps });
    expect(await replay.pass()).toMatchObject({ type: "fail", retryable: true, error: { name: "Declined", message: "no" } });
  });
});

describe("sendEvent", () => {
  it("goes on with what the server answers", async () => {
    const job = new Job(async ({ step }) => {
      const sent = await step.sendEvent("tell", { name: "payout.done", data: { amount: 1 } });
      return sent.revision;
    });
    const frame = await job.pass([{ id: "tell", result: { id: "e9", revision: 12 } }]);
    expect(frame).toMatchObject({ type: "step", outcomes: [{ id: "tell", kind: "sendEvent", event: "payout.done", data: { amount: 1 } }] });
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [], result: 12 });
  });

  it("sends several together, and rides with the end if nobody waits", async () => {
    const both = new Job(({ step }) => Promise.all([step.sendEvent("a", { name: "x" }), step.sendEvent("b", { name: "y" })]));
    const answer = [{ id: "a", result: { id: "1", revision: 1 } }, { id: "b", result: { id: "2", revision: 2 } }];
    expect((await both.pass(answer)).outcomes).toEqual([{ id: "a", kind: "sendEvent", event: "x" }, { id: "b", kind: "sendEvent", event: "y" }]);
    expect(await both.pass()).toMatchObject({ type: "complete" });
  });

  it("does not let the run be suspended before it is answered", async () => {
    const job = new Job(({ step }) => Promise.all([step.sendEvent("a", { name: "x" }), step.sleep("nap", 5)]));
    expect(await job.next()).toMatchObject({ type: "step", outcomes: [{ id: "a" }, { id: "nap" }] });
    await settle();
    job.ack([{ id: "a", result: { id: "1", revision: 1 } }]);
    expect(await job.pass()).toMatchObject({ type: "suspend", outcomes: [] });
  });

  it("is answered from memory on a replay", async () => {
    const job = new Job(({ step }) => step.sendEvent("a", { name: "x" }), { steps: [{ id: "a", result: { id: "1", revision: 1 } }] });
    expect(await job.pass()).toMatchObject({ type: "complete", result: { id: "1", revision: 1 } });
  });
});

describe("the end of a job", () => {
  it("by cancellation aborts the signal and sends nothing more", async () => {
    const slow = deferred<number>();
    let seen: AbortSignal | undefined;
    const log: string[] = [];
    const job = new Job(async ({ step, signal }) => {
      seen = signal;
      await step.run("slow", () => slow.promise);
      log.push("after");
    });
    await settle();
    job.run.cancel("cancelled");
    expect(seen?.aborted).toBe(true);
    expect(String(seen?.reason)).toContain("cancelled");
    expect(job.isEnded).toBe(true);
    slow.resolve(1);
    await settle();
    expect([job.sent, log]).toEqual([0, []]);
  });

  it("ignores a late acknowledgement, and steps called after it", async () => {
    const go = deferred();
    const log: string[] = [];
    const job = new Job(async ({ step }) => {
      await step.run("a", () => 1);
      void go.promise.then(() => step.run("late", () => log.push("late")));
      await step.run("b", () => log.push("b"));
    });
    await job.next();
    job.run.cancel("lost");
    job.ack();
    go.resolve();
    await settle();
    expect([log, job.sent]).toEqual([[], 1]);
  });

  it("drops the signal's owner when the run ends with a step still running", async () => {
    let seen: AbortSignal | undefined;
    const job = new Job(async ({ step, signal }) => {
      seen = signal;
      void step.run("floating", () => new Promise(() => {}));
      await step.run("a", () => 1);
      return "done";
    });
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "a" }] });
    expect(seen?.aborted).toBe(true);
  });

  it("follows an acknowledgement that says so", async () => {
    const job = new Job(async ({ step }) => {
      await step.run("a", () => 1);
      await step.run("b", () => 2);
    });
    await job.next();
    job.ack([], true);
    await settle();
    expect([job.isEnded, job.sent]).toEqual([true, 1]);
  });

  it.each([["step_result_too_large", false], ["store_full", true]])("by a refusal %s fails the run", async (code, retryable) => {
    const job = new Job(async ({ step }) => {
      await step.run("a", () => 1);
      await step.run("b", () => 2);
    });
    await job.next();
    job.run.refuse({ type: "error", code, detail: "no", run: "run_1" });
    expect(await job.pass()).toMatchObject({ type: "fail", outcomes: [], retryable, error: { name: code, message: "no" } });
    await settle();
    expect([job.isEnded, job.sent]).toEqual([true, 2]);
  });

  it("by a refusal of the failure itself just ends", async () => {
    const job = new Job(() => Promise.reject(new NonRetryableError("x")));
    await job.next();
    job.run.refuse({ type: "error", code: "internal", run: "run_1" });
    expect([job.isEnded, job.sent]).toEqual([true, 1]);
  });

  it("lets a suspended function be collected", async () => {
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const watched: WeakRef<object>[] = [];
    async function suspend() {
      const job = new Job(async ({ step }) => {
        const local = { large: new Array(1000).fill(0) };
        watched.push(new WeakRef(local));
        await step.sleep("nap", 1);
        return local;
      });
      await job.pass();
    }
    await suspend();
    await settle();
    collect();
    expect(watched[0]?.deref()).toBeUndefined();
  });

  it("keeps StepError apart from other errors", () => {
    expect(new StepError("s", {}, true)).toMatchObject({ name: "Error", message: 'step "s" failed', retryable: true });
  });
});
