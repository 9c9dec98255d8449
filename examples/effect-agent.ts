/** Everything of chasqui, with `agent` made of the Effect entry: the same nouns, so the same examples run on it. */
import { type Agent, type AgentEvent, type AgentOptions, llama, type RunResult } from "chasqui"
import { Agent as AgentService, Model } from "chasqui/effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"

export * from "chasqui"

type EffectAgent = Pick<Agent, "model" | "session" | "pending" | "close" | typeof Symbol.asyncDispose> & {
  run(input: string, options?: object): Promise<RunResult>
  stream(input: string, options?: object): AsyncIterable<AgentEvent> & { readonly result: Promise<Partial<RunResult>> }
}

export async function agent({ model = llama(), ...options }: AgentOptions = {}): Promise<EffectAgent> {
  const models = typeof model === "function" ? Model.layer(model) : Layer.succeed(Model, model)
  const runtime = ManagedRuntime.make(AgentService.layer(options).pipe(Layer.provideMerge(models)))
  const service = await runtime.runPromise(AgentService)
  const loaded = await runtime.runPromise(Model)
  process.stderr.write("an agent through Effect\n")
  return {
    model: loaded,
    get session() {
      return service.session
    },
    get pending() {
      return service.pending
    },
    run,
    stream,
    close: () => runtime.dispose(),
    [Symbol.asyncDispose]: () => runtime.dispose(),
  }

  function run(input: string, options?: object): Promise<RunResult> {
    return runtime.runPromise(service.run(input, options))
  }

  /** The events, and the result as the last of them tells it. */
  function stream(input: string, options?: object) {
    const { promise: result, resolve, reject } = Promise.withResolvers<Partial<RunResult>>()
    result.catch(() => undefined)
    async function* events(): AsyncGenerator<AgentEvent> {
      try {
        for await (const event of Stream.toAsyncIterable(service.stream(input, options))) {
          if (event.type === "run-end") resolve(event)
          yield event
        }
      } catch (error) {
        reject(error)
        throw error
      }
    }
    return { result, [Symbol.asyncIterator]: events }
  }
}
