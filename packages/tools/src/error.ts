/**
 * The errors of this package: things that the host got wrong and learns before a model is involved. What goes wrong while a
 * tool runs is `ToolFailed` instead, whose text the model reads. No message ever holds a key or a header.
 */
import { TaggedError } from "effect/Data"

/** A tool, plugin or server that cannot be set up as asked. */
export class ToolSetupError extends TaggedError("ToolSetupError")<{
  readonly reason:
    | "missing-key"
    | "ambiguous-provider"
    | "not-found"
    | "unreadable"
    | "bad-manifest"
    | "bad-config"
    | "bad-address"
    | "name-clash"
    | "schema-drift"
    | "unreachable"
  /** What is wrong and where, in one sentence. */
  readonly detail: string
  /** What the reader can do about it, in one sentence. */
  readonly fix: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}
