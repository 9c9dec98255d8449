/**
 * The error of the Python sandbox: its host side could not do its work. Code that fails or dies inside is no error but an outcome.
 * A plain class, not effect's TaggedError: the jailed process loads this file, and as little else as possible.
 */
export type SandboxErrorReason =
  | "bad-pyodide"
  | "bad-options"
  | "bad-path"
  | "cannot-start"
  | "no-namespaces"
  | "too-large"
  | "too-many"
  | "closed"

/** What is wrong with the sandbox or with what it was given, and what to do. */
export class SandboxError extends Error {
  readonly _tag = "SandboxError"
  override readonly name = "SandboxError"
  readonly reason: SandboxErrorReason
  /** What is wrong and where. */
  readonly detail: string
  /** What the reader can do about it. */
  readonly fix: string

  constructor(fields: { reason: SandboxErrorReason; detail: string; fix: string; cause?: unknown }) {
    super(`${fields.detail} ${fields.fix}`, "cause" in fields ? { cause: fields.cause } : undefined)
    this.reason = fields.reason
    this.detail = fields.detail
    this.fix = fields.fix
  }
}
