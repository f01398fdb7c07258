/** Takes the worker's log lines. They hold no API key and no value of a secret that a job here holds or held. */
export interface Logger {
  debug?(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Writes to stderr, so that stdout stays the application's; `debug` lines are dropped. */
export const stderrLogger: Logger = {
  info: (message) => console.error(`claviger: ${message}`),
  warn: (message) => console.warn(`claviger: ${message}`),
  error: (message) => console.error(`claviger: ${message}`),
};

/** A logger whose lines pass through `redact` first. */
export function redacting(logger: Logger, redact: (text: string) => string): Required<Logger> {
  return {
    debug: (message) => logger.debug?.(redact(message)),
    info: (message) => logger.info(redact(message)),
    warn: (message) => logger.warn(redact(message)),
    error: (message) => logger.error(redact(message)),
  };
}
