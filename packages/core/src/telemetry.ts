/**
 * OpenTelemetry spans and metrics of a run, by the gen_ai semantic conventions: events in, spans out. Off unless an agent is given
 * it. Names, counts and times only; what was said is recorded where it is asked for. It takes the tracer and meter of
 * `@opentelemetry/api` and depends on nothing.
 */
import type { AgentEvent, RunFailed, StepEnd, ToolResult } from "./event.ts"

/** The parts of a Tracer, Span, Meter and Histogram of `@opentelemetry/api` that are used here. */
export interface TelemetrySpan {
  setAttributes(attributes: TelemetryAttributes): unknown
  setStatus(status: { readonly code: number; readonly message?: string }): unknown
  end(): void
}
export type TelemetryAttributes = { [name: string]: string | number | boolean | string[] }
export interface TelemetryTracer<Context> {
  startSpan(
    name: string,
    options: { attributes?: TelemetryAttributes; kind?: number },
    context?: Context,
  ): TelemetrySpan
}
export interface TelemetryMeter {
  createHistogram(
    name: string,
    options: { description?: string; unit?: string },
  ): { record(value: number, attributes: TelemetryAttributes): void }
}

/** The host's tracer, meter and clock. */
export interface TelemetryOptions<Context> {
  readonly tracer: TelemetryTracer<Context>
  readonly meter?: TelemetryMeter
  /** The active context, and the context with a span in it: `context.active` and `trace.setSpan` of the API. */
  readonly active: () => Context
  readonly withSpan: (context: Context, span: never) => Context
  /** Milliseconds; for the durations of the metrics. */
  readonly now: () => number
  /** Also record inputs, results and answers. They may hold personal data. Default: no. */
  readonly content?: "recorded"
}

/** The names that spans carry. */
export interface TelemetryLabels {
  readonly agent: string
  readonly model: string
}

/** What `onEvent` of an agent takes. */
export type Listener = (event: AgentEvent) => void

const clientKind = 2
const errorStatus = 2

/** A listener for the events of one agent. */
export function telemetry<Context>(options: TelemetryOptions<Context>, labels: TelemetryLabels): Listener {
  return new RunSpans(options, labels).listen
}

class RunSpans<Context> {
  readonly #options: TelemetryOptions<Context>
  readonly #labels: TelemetryLabels
  readonly #tokens
  readonly #duration
  #run: { span: TelemetrySpan; context: Context } | undefined
  #step: { span: TelemetrySpan; context: Context; startMs: number } | undefined
  readonly #calls = new Map<string, TelemetrySpan>()

  constructor(options: TelemetryOptions<Context>, labels: TelemetryLabels) {
    this.#options = options
    this.#labels = labels
    this.#tokens = options.meter?.createHistogram("gen_ai.client.token.usage", {
      description: "Tokens used by a generation",
      unit: "{token}",
    })
    this.#duration = options.meter?.createHistogram("gen_ai.client.operation.duration", {
      description: "Duration of a generation with its tool calls",
      unit: "s",
    })
  }

  readonly listen: Listener = (event) => {
    switch (event.type) {
      case "run-start": {
        const { agent, model } = this.#labels
        const attributes = { ...this.#base("invoke_agent"), "gen_ai.agent.name": agent, "gen_ai.request.model": model }
        this.#run = this.#open(`invoke_agent ${agent}`, attributes, this.#options.active())
        break
      }
      case "step-start": {
        const { model } = this.#labels
        const parent = this.#run?.context ?? this.#options.active()
        const attributes = { ...this.#base("chat"), "gen_ai.request.model": model }
        this.#step = { ...this.#open(`chat ${model}`, attributes, parent), startMs: this.#options.now() }
        break
      }
      case "tool-call-end": {
        const { id, name, input } = event.call
        const attributes = { ...this.#base("execute_tool"), "gen_ai.tool.name": name, "gen_ai.tool.call.id": id }
        const { span } = this.#open(`execute_tool ${name}`, attributes, this.#step?.context ?? this.#options.active())
        if (this.#options.content) span.setAttributes({ "gen_ai.tool.call.arguments": JSON.stringify(input) })
        this.#calls.set(id, span)
        break
      }
      case "tool-result":
        this.#endCall(event)
        break
      case "step-end":
        this.#endStep(event)
        break
      case "run-end": {
        const { usage, stopReason, text } = event
        this.#run?.span.setAttributes({
          ...usageAttributes(usage),
          "gen_ai.response.finish_reasons": [stopReason],
          ...(this.#options.content && { "gen_ai.output.messages": text }),
        })
        this.#run?.span.end()
        this.#run = undefined
        break
      }
      case "run-failed":
        this.#fail(event)
        break
    }
  }

  /** Whatever is open ends with the failure. */
  #fail({ reason, usage }: RunFailed): void {
    this.#run?.span.setAttributes(usageAttributes(usage))
    for (const span of [...this.#calls.values(), this.#step?.span, this.#run?.span]) {
      span?.setAttributes({ "error.type": reason })
      span?.setStatus({ code: errorStatus, message: reason })
      span?.end()
    }
    this.#calls.clear()
    this.#step = undefined
    this.#run = undefined
  }

  #endCall({ callId, isError, failure, output }: ToolResult): void {
    const span = this.#calls.get(callId)
    if (span === undefined) return
    this.#calls.delete(callId)
    if (isError) {
      span.setAttributes({ "error.type": failure ?? "failed" })
      span.setStatus({ code: errorStatus, message: failure ?? "failed" })
    }
    if (this.#options.content) span.setAttributes({ "gen_ai.tool.call.result": JSON.stringify(output) })
    span.end()
  }

  #endStep({ turn, usage }: StepEnd): void {
    const step = this.#step
    if (step === undefined) return
    step.span.setAttributes({
      ...usageAttributes(usage),
      "gen_ai.response.finish_reasons": [turn.end],
      ...(this.#options.content && { "gen_ai.output.messages": JSON.stringify([turn.content, turn.toolCalls]) }),
    })
    step.span.end()
    this.#step = undefined
    const labels = { ...this.#base("chat"), "gen_ai.request.model": this.#labels.model }
    this.#tokens?.record(usage.prompt, { ...labels, "gen_ai.token.type": "input" })
    this.#tokens?.record(usage.generated, { ...labels, "gen_ai.token.type": "output" })
    this.#duration?.record((this.#options.now() - step.startMs) / 1000, labels)
  }

  #base(operation: string): TelemetryAttributes {
    return { "gen_ai.operation.name": operation, "gen_ai.provider.name": "chasqui" }
  }

  #open(name: string, attributes: TelemetryAttributes, parent: Context): { span: TelemetrySpan; context: Context } {
    const span = this.#options.tracer.startSpan(name, { attributes, kind: clientKind }, parent)
    return { span, context: this.#options.withSpan(parent, span as never) }
  }
}

function usageAttributes({ prompt, cached, generated }: StepEnd["usage"]): TelemetryAttributes {
  return {
    "gen_ai.usage.input_tokens": prompt,
    "gen_ai.usage.output_tokens": generated,
    "gen_ai.usage.cache_read.input_tokens": cached,
  }
}
