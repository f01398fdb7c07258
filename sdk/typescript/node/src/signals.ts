import type { Logger } from "./logger.js";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** What a signal stops. */
export interface Stoppable {
  stop(): Promise<void>;
  abort(): void;
}

/**
 * The first SIGTERM or SIGINT drains the worker, after which the process ends if nothing else keeps it; the second one
 * ends the process at once. The returned function ends the handling.
 */
export function handleSignals(worker: Stoppable, logger: Logger): () => void {
  let isStopping = false;
  const forget = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (!isStopping) {
      isStopping = true;
      // Told to the server first: whoever reads the line may rely on no other job being taken.
      void worker.stop();
      logger.info(`${signal}: finishing the jobs in flight; once more ends at once`);
      return;
    }
    worker.abort();
    forget();
    // With the default action, unless the application listens too.
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return forget;
}
