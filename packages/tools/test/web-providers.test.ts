import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { braveSearch, wolframAlpha } from "../src/index.ts"
import { answerJson, type FaultServer, faultServer, faults } from "./fault-server.ts"
import { toolContext } from "./tool-context.ts"

let server: FaultServer
beforeAll(async () => {
  server = await faultServer()
})
afterAll(() => server.close())

const context = toolContext()
const key = "SECRET-KEY"
const slept: number[] = []
const common = (timeoutMs = 20_000) => ({
  apiKey: key,
  baseUrl: server.origin,
  addresses: "any" as const,
  timeoutMs,
  mostBytes: 200_000,
  now: () => Date.UTC(2026, 10, 24, 12),
  sleep: async (milliseconds: number) => void slept.push(milliseconds),
})
const tools = {
  brave_search: (timeoutMs?: number) => braveSearch(common(timeoutMs)),
  wolfram_alpha: (timeoutMs?: number) => wolframAlpha(common(timeoutMs)),
}
const ask = (tool: { execute: (input: never, context: never) => unknown }, query: string) =>
  tool.execute({ query } as never, context as never)

describe("brave_search with the Brave API", () => {
  const page = (index: number) => ({
    type: "search_result",
    title: `Oslo <strong>weather</strong> ${index}`,
    url: `https://weather.example/${index}`,
    description: "Today: <strong>rain</strong> &amp; wind, 3 &lt; 5 degrees",
    age: "2 hours ago",
    extra_snippets: ["more"],
  })

  it("asks as documented and gives the trained shape: three results, plain text, nothing else", async () => {
    server.answerWith(answerJson({ type: "search", web: { type: "search", results: [1, 2, 3, 4, 5].map(page) } }))
    const tool = tools.brave_search()
    const output = await ask(tool, "weather in Oslo & Bergen")
    const result = (index: number) => ({
      title: `Oslo weather ${index}`,
      url: `https://weather.example/${index}`,
      description: "Today: rain & wind, 3 < 5 degrees",
      type: "search_result",
    })
    expect(JSON.stringify(output)).toBe(
      JSON.stringify({ query: "weather in Oslo & Bergen", top_k: [1, 2, 3].map(result) }),
    )
    expect(server.received).toHaveLength(1)
    const { method, url, headers } = server.received[0]!
    expect([method, url]).toEqual(["GET", "/res/v1/web/search?q=weather+in+Oslo+%26+Bergen&count=5"])
    expect([headers["x-subscription-token"], headers.accept]).toEqual([key, "application/json"])
    await tool.close?.()
  })

  it("leaves alone what only looks like an entity", async () => {
    const result = { title: "&toString; &valueOf; &nosuch;", url: "https://x.example", description: "&#39;&quot;&lt;" }
    server.answerWith(answerJson({ web: { results: [result] } }))
    expect(await ask(tools.brave_search(), "x")).toMatchObject({
      top_k: [{ title: "&toString; &valueOf; &nosuch;", description: "'\"<" }],
    })
  })

  it("finds nothing where the service finds nothing", async () => {
    server.answerWith(answerJson({ type: "search" }))
    expect(await ask(tools.brave_search(), "nothing")).toEqual({ query: "nothing", top_k: [] })
  })

  it("keeps its connection from one question to the next", async () => {
    server.answerWith(answerJson({ web: { results: [] } }))
    const tool = tools.brave_search()
    const before = server.connections()
    for (let round = 0; round < 10; round++) await ask(tool, "again")
    expect(server.connections() - before).toBeLessThanOrEqual(2)
    await tool.close?.()
  })
})

describe("wolfram_alpha with the Wolfram API", () => {
  const pod = (title: string, text: string, rest: object = {}) => ({
    title,
    scanner: "Identity",
    id: title,
    position: 100,
    error: false,
    numsubpods: 1,
    ...rest,
    subpods: [{ title: "", img: { src: "https://x.example/a.gif" }, plaintext: text }],
    expressiontypes: { name: "Default" },
  })

  it("asks as documented and gives the pods up to the result", async () => {
    const pods = [
      pod("Input interpretation", "solve x + 1 = 3"),
      pod("Result", "x = 2", { primary: true }),
      pod("Plot", ""),
      pod("Number line", "…"),
    ]
    server.answerWith(answerJson({ queryresult: { success: true, error: false, numpods: 4, timing: 0.4, pods } }))
    expect(JSON.stringify(await ask(tools.wolfram_alpha(), "solve x + 1 = 3"))).toBe(
      '{"queryresult":{"success":true,"inputstring":"solve x + 1 = 3","pods":[{"title":"Input interpretation","subpods":[{"title":"","plaintext":"solve x + 1 = 3"}]},{"title":"Result","primary":true,"subpods":[{"title":"","plaintext":"x = 2"}]}]}}',
    )
    expect(server.received[0]?.url).toBe(
      `/v2/query?appid=${key}&input=solve+x+%2B+1+%3D+3&output=json&format=plaintext`,
    )
  })

  it("says that there is no result where there is none", async () => {
    server.answerWith(answerJson({ queryresult: { success: false, error: false, numpods: 0 } }))
    expect(await ask(tools.wolfram_alpha(), "colourless green ideas")).toEqual({
      queryresult: { success: false, inputstring: "colourless green ideas" },
    })
  })

  it("reads an invalid AppID out of a successful answer", async () => {
    server.answerWith(answerJson({ queryresult: { success: false, error: { code: "1", msg: "Invalid appid" } } }))
    await expect(ask(tools.wolfram_alpha(), "x")).rejects.toThrow(/^invalid key$/)
  })
})

describe.each(Object.keys(tools) as (keyof typeof tools)[])("%s", (name) => {
  it.each(faults)("tells the model in a few words when the service $name", async ({ answer, text }) => {
    server.answerWith(answer)
    const tool = tools[name](text.test("timeout") ? 150 : undefined)
    const error: unknown = await Promise.resolve(ask(tool, "a question")).then(
      () => "no error",
      (reason) => reason,
    )
    expect(error).toMatchObject({ _tag: "ToolFailed" })
    expect((error as Error).message).toMatch(text)
    expect(everythingIn(error)).not.toContain(key)
    await tool.close?.()
  })

  it("tries again after 0.5 s and 1 s, and then gives up", async () => {
    slept.length = 0
    server.answerWith(answerJson({}, 500))
    await expect(ask(tools[name](), "x")).rejects.toThrow("service unavailable (status 500)")
    expect(slept).toEqual([500, 1000])
    expect(server.received).toHaveLength(3)
  })

  it("waits as long as Retry-After says, in seconds or as a date", async () => {
    slept.length = 0
    const success = answerJson({ web: { results: [] }, queryresult: { success: false } })
    server.answerWith(
      answerJson({}, 429, { "retry-after": "3" }),
      answerJson({}, 503, { "retry-after": "Tue, 24 Nov 2026 12:00:07 GMT" }),
      success,
    )
    await ask(tools[name](), "x")
    expect(slept).toEqual([3000, 7000])
  })

  it("does not try again after a refusal", async () => {
    server.answerWith(answerJson({}, 401))
    await expect(ask(tools[name](), "x")).rejects.toThrow("invalid key")
    expect(server.received).toHaveLength(1)
  })

  it("stops when the run is aborted", async () => {
    server.answerWith(() => undefined)
    const controller = new AbortController()
    const tool = tools[name]()
    const asked = Promise.resolve(tool.execute({ query: "x" } as never, { ...context, signal: controller.signal }))
    setTimeout(() => controller.abort(), 20)
    await expect(asked).rejects.toThrow(expect.objectContaining({ name: "AbortError" }))
  })

  it("refuses a key that could not be sent, without showing it", () => {
    const make = () =>
      name === "brave_search" ? braveSearch({ apiKey: "SECRET\nKEY" }) : wolframAlpha({ apiKey: "SECRET\nKEY" })
    expect(make).toThrow(
      expect.objectContaining({ reason: "missing-key", message: expect.not.stringContaining("SECRET") }),
    )
  })
})

/** All text that a trace could take from an error: its own fields and those of its causes. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = Object.getOwnPropertyNames(error).map((name) =>
    String((error as unknown as Record<string, unknown>)[name]),
  )
  return [...own, everythingIn(error.cause)].join("\n")
}
