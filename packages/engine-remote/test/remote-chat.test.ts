import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { type AgentEvent, agent, defineTool, readTrace, replay, traceHeader, traceLine } from "@chasqui/core"
import { afterEach, describe, expect, it } from "vitest"
import { type RemoteChatOptions, remoteChat } from "../src/index.ts"

type Answer = (request: Request_, response: ServerResponse) => void
interface Request_ {
  readonly headers: IncomingMessage["headers"]
  readonly body: {
    messages: { role: string; content: unknown; tool_calls?: unknown; tool_call_id?: string }[]
  } & Record<string, unknown>
}

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A real server on the loopback interface that answers each request with the next of the answers. */
async function serve(...answers: Answer[]) {
  const requests: Request_[] = []
  const server = createServer(async (incoming, response) => {
    let text = ""
    for await (const chunk of incoming) text += chunk
    const request = { headers: incoming.headers, body: JSON.parse(text) }
    requests.push(request)
    const answer = answers[Math.min(requests.length, answers.length) - 1] as Answer
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const waits: number[] = []
  const model = (options: Partial<RemoteChatOptions> = {}) =>
    remoteChat({
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
      model: "llama",
      apiKey: "sk-secret",
      sleep: async (ms) => void waits.push(ms),
      ...options,
    })
  return { requests, waits, model }
}

const chunk = (delta: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
})
const usage = {
  choices: [],
  usage: { prompt_tokens: 20, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 16 } },
}
const call = (name: string, ...pieces: string[]) => [
  chunk({ role: "assistant", content: null }),
  chunk({ tool_calls: [{ index: 0, id: "abc", type: "function", function: { name, arguments: "" } }] }),
  ...pieces.map((piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
  chunk({}, "tool_calls"),
  usage,
]
const text = (...pieces: string[]) => [...pieces.map((content) => chunk({ content })), chunk({}, "stop"), usage]

/** The chunks as server-sent events, cut into pieces of that many bytes. */
const stream =
  (chunks: readonly object[], size = 1_000_000): Answer =>
  async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    const bytes = Buffer.from(`${chunks.map((each) => `data: ${JSON.stringify(each)}\n\n`).join("")}data: [DONE]\n\n`)
    for (let at = 0; at < bytes.length; at += size) {
      response.write(bytes.subarray(at, at + size))
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  }
const refuse =
  (status: number, body: string, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    response.writeHead(status, headers).end(body)

const add = defineTool("add", {
  description: "Adds",
  input: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] },
  execute: ({ a, b }) => a + b,
})

describe("a model on a chat server", () => {
  it.each([1_000_000, 7, 1])("goes the whole round, whatever the pieces of the stream are (%d bytes)", async (size) => {
    const { requests, model } = await serve(
      stream(call("add", '{"a": 2,', ' "b": 3}'), size),
      stream(text("The sum ", "é 5."), size),
    )
    const bot = await agent({ model: model(), tools: [add], system: "Be brief." })
    const result = await bot.run("2 + 3?")
    expect(result).toMatchObject({
      text: "The sum é 5.",
      stopReason: "end-of-turn",
      usage: { prompt: 40, cached: 32, generated: 10 },
    })
    expect(requests[1]?.body.messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "2 + 3?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "call-0", type: "function", function: { name: "add", arguments: '{"a":2,"b":3}' } }],
      },
      { role: "tool", tool_call_id: "call-0", content: "5" },
    ])
    expect(requests[0]?.headers.authorization).toBe("Bearer sk-secret")
    expect(requests[0]?.body.tools).toMatchObject([{ type: "function", function: { name: "add" } }])
  })
  it("finds calls that the server left in the text", async () => {
    const { model } = await serve(
      stream(text('{"name": "add", ', '"parameters": {"a": 1, "b": 1}}')),
      stream(text("2.")),
    )
    const bot = await agent({ model: model(), tools: [add] })
    expect((await bot.run("1 + 1?")).text).toBe("2.")
    expect(bot.session.turns[1]).toMatchObject({ toolCalls: [{ name: "add", input: { a: 1, b: 1 } }] })
  })
  it("tells the model where the arguments of a call break", async () => {
    const { requests, model } = await serve(stream(call("add", '{"a": 2,,')), stream(text("Sorry.")))
    const bot = await agent({ model: model(), tools: [add] })
    await bot.run("go")
    // Kept as written, but as text: a server would refuse arguments that are not JSON, and results that answer no call.
    const [asked, told] = requests[1]?.body.messages.slice(-2) ?? []
    expect(asked).toEqual({ role: "assistant", content: 'add {"a": 2,,' })
    expect(told).toMatchObject({ role: "user" })
    expect(String(told?.content)).toMatch(/not JSON: .*position 8/)
  })
  it("numbers the calls in the text and those beside it as one", async () => {
    const inText = chunk({ content: '{"name": "add", "parameters": {"a": 1, "b": 1}}' })
    const beside = chunk({ tool_calls: [{ index: 0, function: { name: "add", arguments: '{"a":2,"b":2}' } }] })
    const { model } = await serve(stream([inText, beside, chunk({}, "tool_calls")]), stream(text("done")))
    const bot = await agent({ model: model(), tools: [add] })
    await bot.run("go")
    expect(bot.session.turns[1]).toMatchObject({ toolCalls: [{ id: "call-0" }, { id: "call-1" }] })
    expect(bot.session.turns.slice(2, 4).map(({ content }) => content)).toEqual([2, 4])
  })
  it("takes four calls of one turn", async () => {
    const four = [0, 1, 2, 3].map((index) =>
      chunk({ tool_calls: [{ index, function: { name: "add", arguments: `{"a":${index},"b":1}` } }] }),
    )
    const { model } = await serve(stream([...four, chunk({}, "tool_calls")]), stream(text("done")))
    const bot = await agent({ model: model(), tools: [add] })
    await bot.run("go")
    expect(bot.session.turns.slice(2, 6).map(({ content }) => content)).toEqual([1, 2, 3, 4])
  })
  it("runs nothing of an answer that was cut off by the token limit", async () => {
    const { model } = await serve(stream([...call("add", '{"a": 2').slice(0, -2), chunk({}, "length")]))
    const bot = await agent({ model: model(), tools: [add] })
    expect((await bot.run("go")).stopReason).toBe("max-tokens")
  })
  it("records a trace that replays", async () => {
    const { model } = await serve(stream(call("add", '{"a":1,"b":2}')), stream(text("3")))
    const bot = await agent({ model: model(), tools: [add] })
    let trace = traceLine(traceHeader(bot.session, bot.model))
    const events: AgentEvent[] = []
    for await (const event of bot.stream("go")) {
      events.push(event)
      trace += traceLine(event)
    }
    expect(replay(trace)).toEqual(events)
    expect(JSON.stringify(readTrace(trace))).not.toContain("sk-secret")
  })
})

describe("faults of the server", () => {
  it("that pass are waited out, as long as it says", async () => {
    const { waits, model } = await serve(
      refuse(429, "slow down", { "retry-after": "2" }),
      refuse(503, "starting"),
      stream(text("ok")),
    )
    const bot = await agent({ model: model() })
    expect((await bot.run("go")).text).toBe("ok")
    expect(waits).toEqual([2000, 500])
  })
  it.each<[string, Answer, string, RegExp]>([
    ["a wrong key", refuse(401, "bad key"), "bad-request", /API key/],
    ["an unknown model", refuse(404, "no such model"), "not-found", /name of the model/],
    ["HTML instead of JSON", (_, response) => response.end("data: <html>\n\n"), "device-lost", /no chunk/],
    [
      "an error in the middle",
      stream([chunk({ content: "a" }), { error: { message: "CUDA out of memory" } }]),
      "device-lost",
      /CUDA out of memory/,
    ],
    [
      "an answer without an end",
      (_, response) => response.end('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
      "device-lost",
      /middle of the answer/,
    ],
    [
      "a connection that breaks",
      (_, response) => {
        response.write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
        setImmediate(() => response.destroy())
      },
      "device-lost",
      /middle of the answer/,
    ],
    ["a redirect", refuse(302, "", { location: "http://127.0.0.1:1/" }), "device-lost", /cannot be reached/],
  ])("are typed errors that hold no secret: %s", async (_, answer, reason, says) => {
    const { model } = await serve(answer)
    const bot = await agent({ model: model({ retries: 0 }) })
    const error = await bot.run("go").then(
      () => undefined,
      (thrown: Error & { reason: string }) => thrown,
    )
    expect(error).toMatchObject({ _tag: "EngineError", reason })
    expect(error?.message).toMatch(says)
    expect(JSON.stringify(error) + error?.message).not.toContain("sk-secret")
  })
  it("ends the run as full when the prompt is too long for it", async () => {
    const { model } = await serve(refuse(400, "maximum context length is 8192"))
    const bot = await agent({ model: model({ retries: 0 }) })
    expect((await bot.run("go")).stopReason).toBe("context-full")
  })
  it("that never answer or stop answering end by their timeouts", async () => {
    const { model } = await serve(() => undefined)
    const silent = await agent({ model: model({ retries: 0, timeoutMs: 50 }) })
    await expect(silent.run("go")).rejects.toMatchObject({
      reason: "device-lost",
      message: expect.stringContaining("50 ms"),
    })
    const stalls = await serve(
      (_, response) => void response.write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
    )
    const stalling = await agent({ model: stalls.model({ retries: 0, idleTimeoutMs: 50 }) })
    await expect(stalling.run("go")).rejects.toMatchObject({ reason: "device-lost" })
  })
  it("and an abort settles at once, with what was said so far", async () => {
    const { model } = await serve(
      (_, response) => void response.write('data: {"choices":[{"delta":{"content":"so far"}}]}\n\n'),
      stream(text("again")),
    )
    const bot = await agent({ model: model() })
    const run = bot.stream("go")
    for await (const event of run) if (event.type === "text-delta") run.cancel()
    expect(await run.result).toMatchObject({ stopReason: "aborted", text: "so far" })
    expect((await bot.run("go on")).text).toBe("again")
  })
})
