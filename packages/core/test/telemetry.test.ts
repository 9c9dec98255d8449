import { context, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api"
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import { EngineError } from "../src/error.ts"
import { telemetry } from "../src/telemetry.ts"
import { scriptedModel } from "../src/testing.ts"
import { defineTool } from "../src/tool.ts"

const look = defineTool("look", {
  description: "Looks",
  input: { type: "object", properties: { at: { type: "string" } } },
  execute: ({ at }) => {
    if (at === "nothing") throw new Error("secret reason")
    return "seen"
  },
})

async function spansOf(content?: "recorded") {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const histograms: [string, number, object][] = []
  const onEvent = telemetry(
    {
      tracer: provider.getTracer("test"),
      meter: {
        createHistogram: (name) => ({ record: (value, attributes) => histograms.push([name, value, attributes]) }),
      },
      active: () => context.active(),
      withSpan: (parent, span: Span) => trace.setSpan(parent, span),
      now: () => 1000,
      ...(content && { content }),
    },
    { agent: "helper", model: "llama" },
  )
  const calls = ["sea", "nothing"].map((at) => ({ name: "look", input: { at } }))
  const bot = await agent({ model: scriptedModel([{ calls }, "All seen."]), tools: [look], onEvent })
  await bot.run("a private question")
  return { spans: exporter.getFinishedSpans(), histograms }
}

describe("telemetry", () => {
  it("makes a tree of spans with the names and attributes of the gen_ai conventions", async () => {
    const { spans } = await spansOf()
    expect(spans.map(({ name }) => name)).toEqual([
      "execute_tool look",
      "execute_tool look",
      "chat llama",
      "chat llama",
      "invoke_agent helper",
    ])
    const [ok, failed, step, , run] = spans
    expect(ok?.parentSpanContext?.spanId).toBe(step?.spanContext().spanId)
    expect(step?.parentSpanContext?.spanId).toBe(run?.spanContext().spanId)
    expect(run?.parentSpanContext).toBeUndefined()
    expect(failed?.attributes).toMatchObject({
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.call.id": "call-1",
      "error.type": "failed",
    })
    expect(run?.attributes).toMatchObject({
      "gen_ai.usage.input_tokens": 5,
      "gen_ai.usage.output_tokens": 2,
      "gen_ai.response.finish_reasons": ["end-of-turn"],
    })
    expect(ROOT_CONTEXT).toBeDefined()
  })
  it("ends every span with the failure of a run that fails", async () => {
    const exporter = new InMemorySpanExporter()
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    const onEvent = telemetry(
      {
        tracer: provider.getTracer("test"),
        active: () => context.active(),
        withSpan: (parent, span: Span) => trace.setSpan(parent, span),
        now: () => 1000,
      },
      { agent: "helper", model: "llama" },
    )
    const error = new EngineError({ reason: "device-lost", detail: "secret device", fix: "Load it again." })
    const bot = await agent({ model: scriptedModel([{ error }]), onEvent })
    await expect(bot.run("go")).rejects.toBe(error)
    const spans = exporter.getFinishedSpans()
    expect(spans.map(({ name, attributes }) => [name, attributes["error.type"]])).toEqual([
      ["chat llama", "device-lost"],
      ["invoke_agent helper", "device-lost"],
    ])
    expect(JSON.stringify(spans.map(({ attributes, status }) => [attributes, status]))).not.toContain("secret")
  })
  it("records tokens and durations", async () => {
    const { histograms } = await spansOf()
    expect(histograms.map(([name]) => name)).toContain("gen_ai.client.operation.duration")
    expect(histograms.filter(([name]) => name === "gen_ai.client.token.usage")).toHaveLength(4)
  })
  it("holds nothing of what was said, unless it is told to record it", async () => {
    const text = async (content?: "recorded") =>
      JSON.stringify((await spansOf(content)).spans.map(({ attributes }) => attributes))
    expect(await text()).not.toMatch(/sea|seen|private|secret/)
    const recorded = await text("recorded")
    expect(recorded).toContain("sea")
    expect(recorded).not.toContain("secret")
  })
})
