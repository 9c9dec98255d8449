/**
 * The same nouns for programs written with Effect: a model and an agent as services, runs as Effects with typed errors, events as
 * a Stream. It stands on the plain facade's own parts; there is one loop.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { agentWith, type Agent as PlainAgent } from "./agent.ts"
import type {
  Decisions,
  OutputOptions,
  OutputResult,
  AgentOptions as PlainOptions,
  RunOptions,
} from "./agent-options.ts"
import type { PendingRun } from "./approval.ts"
import { AgentError, EngineError, PromptError, SessionError, TokenizerError, ToolDefinitionError } from "./error.ts"
import type { AgentEvent } from "./event.ts"
import type { Model as PlainModel } from "./model.ts"
import type { OutputSchema } from "./output.ts"
import { type RunResult, run } from "./run.ts"
import type { RunStream } from "./run-stream.ts"
import type { RunError } from "./step.ts"

/** What writes turns. */
export class Model extends Context.Service<Model, PlainModel>()("@chasqui/core/Model") {
  /** A model that is loaded when the layer is built and closed with it. */
  static readonly layer = (load: () => Promise<PlainModel>): Layer.Layer<Model, EngineError | TokenizerError> =>
    Layer.effect(
      Model,
      Effect.acquireRelease(
        Effect.tryPromise({ try: load, catch: (thrown) => thrown as EngineError | TokenizerError }),
        (model) => Effect.promise(() => model.close()),
      ),
    )
}

/** Options of the plain facade; the model comes from the context. */
export interface AgentOptions extends Omit<PlainOptions, "model"> {}

/** An agent's verbs as Effects. Errors are those of the plain facade, in the type. */
export interface AgentService {
  /** As it is now: a handoff and a context policy make another. */
  readonly session: PlainAgent["session"]
  /** What waits for a person. */
  readonly pending: PlainAgent["pending"]
  /** Interrupting it aborts the run; the session can go on. */
  readonly run: {
    <const Schema extends OutputSchema>(
      input: string,
      options: OutputOptions<Schema>,
    ): Effect.Effect<OutputResult<Schema>, RunError | SessionError>
    (input: string, options?: RunOptions): Effect.Effect<RunResult, RunError | SessionError>
  }
  readonly stream: (
    input: string,
    options?: RunOptions | OutputOptions<OutputSchema>,
  ) => Stream.Stream<AgentEvent, RunError | SessionError>
  readonly resume: {
    <const Schema extends OutputSchema>(
      pending: PendingRun,
      decisions: Decisions,
      options: OutputOptions<Schema>,
    ): Effect.Effect<OutputResult<Schema>, RunError | SessionError>
    (pending: PendingRun, decisions: Decisions, options?: RunOptions): Effect.Effect<RunResult, RunError | SessionError>
  }
}

/** One agent with its session. */
export class Agent extends Context.Service<Agent, AgentService>()("@chasqui/core/Agent") {
  static readonly layer = (
    options: AgentOptions,
  ): Layer.Layer<Agent, ToolDefinitionError | AgentError | SessionError, Model> => Layer.effect(Agent, agent(options))
}

/** Makes an agent on the model of the context; it is closed with the scope. */
export const agent = Effect.fn("chasqui.agent")(function* (
  options: AgentOptions,
): Effect.fn.Return<AgentService, ToolDefinitionError | AgentError | SessionError, Model | Scope.Scope> {
  const model = yield* Model
  // A run has the services of whoever started it: its clock, so that a test can move it, and its span.
  let services = yield* Effect.context<never>()
  const plain = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () => agentWith({ ...options, model }, (...start) => Effect.runPromiseWith(services)(run(...start))),
      catch: (thrown) => typed<ToolDefinitionError | AgentError | SessionError>(thrown),
    }),
    (made) => Effect.promise(() => made.close()),
  )
  const here = Effect.map(Effect.context<never>(), (now) => {
    services = now
  })
  const stream = (input: string, options?: RunOptions | OutputOptions<OutputSchema>) =>
    plain.stream(input, options as RunOptions)
  return {
    get session() {
      return plain.session
    },
    get pending() {
      return plain.pending
    },
    run: (input: string, options?: RunOptions) =>
      Effect.andThen(
        here,
        finished(() => stream(input, options)),
      ),
    stream: (input, options) =>
      Stream.unwrap(
        Effect.map(here, () =>
          Stream.fromAsyncIterable(stream(input, options), (thrown) => typed<RunError | SessionError>(thrown)),
        ),
      ),
    resume: (pending: PendingRun, decisions: Decisions, options?: RunOptions) =>
      Effect.andThen(
        here,
        finished(() => plain.resume(pending, decisions, options)),
      ),
  }
})

/** The result of a stream; interruption cancels it and waits until it has settled, so that the session is valid after it. */
function finished(start: () => RunStream): Effect.Effect<RunResult, RunError | SessionError> {
  return Effect.callback<RunResult, RunError | SessionError>((resume) => {
    let stream: RunStream
    try {
      stream = start()
    } catch (thrown) {
      return resume(Effect.fail(typed<RunError | SessionError>(thrown)))
    }
    stream.result.then(
      (result) => resume(Effect.succeed(result)),
      (thrown) => resume(Effect.fail(typed<RunError | SessionError>(thrown))),
    )
    return Effect.promise(() => {
      stream.cancel()
      return stream.result.then(
        () => undefined,
        () => undefined,
      )
    })
  })
}

/** Our own errors stay errors; anything else is a defect, and is thrown on. */
function typed<Errors>(thrown: unknown): Errors {
  const ours = [AgentError, EngineError, PromptError, SessionError, TokenizerError, ToolDefinitionError]
  if (ours.some((kind) => thrown instanceof kind)) return thrown as Errors
  throw thrown
}
