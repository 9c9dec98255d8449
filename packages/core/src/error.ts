/**
 * The errors of this package. Each says what is wrong and where (`detail`), which kind it is (`reason`), and what to do
 * about it (`fix`); the message is made of these. A failed tool is no error: it is a result that the model reads.
 */
import { TaggedError } from "effect/Data"

interface Fields<Reason extends string> {
  readonly reason: Reason
  /** What is wrong and where, in one sentence. */
  readonly detail: string
  /** What the reader can do about it, in one sentence. */
  readonly fix: string
  readonly cause?: unknown
}

/** A transcript that cannot be rendered: unknown role, duplicate call id, a name or value that no prompt may hold. */
export class PromptError extends TaggedError("PromptError")<
  Fields<
    | "unknown-role"
    | "bad-turn"
    | "duplicate-call-id"
    | "bad-tool-name"
    | "bad-tools"
    | "no-first-user-message"
    | "circular-value"
    | "too-large"
    | "bad-request"
  >
> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** A tokenizer file that cannot be read, or a special token that it lacks. */
export class TokenizerError extends TaggedError("TokenizerError")<
  Fields<"not-found" | "malformed" | "unsupported" | "no-special-token" | "bad-token-id" | "too-large">
> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** A checkpoint's own chat template failed, ran too long, or raised. */
export class TemplateError extends TaggedError("TemplateError")<
  Fields<"not-found" | "syntax" | "raised" | "timeout" | "too-large">
> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** A tool definition that cannot be offered to a model. */
export class ToolDefinitionError extends TaggedError("ToolDefinitionError")<
  Fields<"bad-name" | "duplicate-name" | "bad-tool" | "bad-schema" | "unsupported-schema" | "too-large">
> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** An agent that cannot be made, or a run that cannot be started, as it was asked for. */
export class AgentError extends TaggedError("AgentError")<Fields<"bad-option">> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** The engine refused or failed: the run cannot go on. */
export class EngineError extends TaggedError("EngineError")<
  Fields<
    | "not-found"
    | "bad-checkpoint"
    | "unsupported"
    | "bad-request"
    | "context-full"
    | "out-of-memory"
    | "busy"
    | "closed"
    | "device-lost"
    | "internal"
  >
> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** A session or trace that cannot be read back. */
export class SessionError extends TaggedError("SessionError")<
  Fields<"not-found" | "malformed" | "wrong-version" | "busy" | "closed" | "bad-approval">
> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}
