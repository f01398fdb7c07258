import { describeError, NonRetryableError, RetryAfterError, StepError, type WireError } from "./errors.js";
import { NotJsonError } from "./json.js";

/** Whether another attempt would meet the same error. */
export function isFinal(error: unknown): boolean {
  return error instanceof NonRetryableError || error instanceof NotJsonError || (error instanceof StepError && !error.retryable);
}

/** The members of a `fail` frame for what left a function, as JSON text that begins with a comma. */
export function describeThrown(error: unknown): string {
  const after = error instanceof RetryAfterError ? `,"retryAfterMs":${error.retryAfterMs}` : "";
  return `${describeFailure(describeError(error), !isFinal(error))}${after}`;
}

/** The same for a described error. */
export function describeFailure(error: WireError, retryable: boolean): string {
  return `,"error":${JSON.stringify(error)},"retryable":${retryable}`;
}
