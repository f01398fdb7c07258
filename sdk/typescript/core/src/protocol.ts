/** The frames of the worker protocol, version 1 (`spec/worker-protocol.md`), as far as the run executor reads them. */
import type { WireError } from "./errors.js";

/** The event that started a run, or that ended a wait. */
export interface Event<Data = any> {
  readonly id: string;
  readonly name: string;
  readonly data: Data;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

/** The event that started a run. */
export interface TriggerEvent<Data = any> extends Event<Data> {
  readonly environment: string;
  /** The space it was emitted in, if it was emitted in one. */
  readonly space?: string;
}

/** What the journal knows of a step: a result, an error, or that it is open. */
export interface StepRecord {
  readonly id: string;
  readonly result?: unknown;
  readonly error?: WireError;
  readonly open?: string;
}

/** A secret handed to one job. */
export interface DeliveredSecret {
  readonly name: string;
  readonly version: number;
  readonly value: string;
  readonly encoding?: "base64";
}

/** One attempt of a run, handed to this worker. */
export interface JobFrame {
  readonly type: "job";
  readonly run: string;
  readonly fence: string;
  readonly function: string;
  readonly attempt: number;
  readonly event: TriggerEvent;
  readonly steps?: readonly StepRecord[];
  readonly secrets?: readonly DeliveredSecret[];
}

/** The frame of that run is stored durably. */
export interface AckFrame {
  readonly type: "ack";
  readonly run: string;
  readonly fence: string;
  readonly ended: boolean;
  readonly steps?: readonly StepRecord[];
}

/** Stop this job and send nothing more for it. */
export interface CancelFrame {
  readonly type: "cancel";
  readonly run: string;
  readonly fence: string;
  readonly reason: string;
}

/** A refusal: of a look-up, of the run's last frame, or of the connection. */
export interface ErrorFrame {
  readonly type: "error";
  readonly code: string;
  readonly detail?: string;
  readonly run?: string;
  readonly fence?: string;
  /** The look-up that could not be answered. */
  readonly id?: string;
}

/** The answer to a look-up; without `version` and `value` there is no such secret. */
export interface SecretFrame {
  readonly type: "secret";
  readonly run: string;
  readonly fence: string;
  readonly id: string;
  readonly name: string;
  readonly version?: number;
  readonly value?: string;
  readonly encoding?: "base64";
}

/** A secret of a name that the job has looked up has changed. */
export interface ChangedFrame {
  readonly type: "changed";
  readonly run: string;
  readonly fence: string;
  readonly name: string;
}

/** The server has accepted the worker. */
export interface RegisteredFrame {
  readonly type: "registered";
  readonly protocol: number;
  readonly session: string;
  readonly environment: string;
  readonly functions: readonly string[];
  readonly heartbeatEveryMs: number;
  readonly leaseMs: number;
}

/** Everything a server sends. */
export type ServerFrame =
  | RegisteredFrame
  | JobFrame
  | AckFrame
  | CancelFrame
  | ErrorFrame
  | SecretFrame
  | ChangedFrame
  | { readonly type: "heartbeat" }
  | { readonly type: "drain" };
