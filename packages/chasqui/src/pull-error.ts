/** Why a download failed, and what to do about it. */
import { TaggedError } from "effect/Data"

export class PullError extends TaggedError("PullError")<{
  readonly reason:
    | "bad-request"
    | "not-found"
    | "not-allowed"
    | "no-checkpoint"
    | "connection-lost"
    | "wrong-size"
    | "wrong-checksum"
    | "refused"
    | "aborted"
  readonly detail: string
  readonly fix: string
}> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}
