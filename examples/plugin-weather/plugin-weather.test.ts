/** The plugin as a host uses it: loaded, configured, each of its tools run. The weather service is a local server. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { plugin, pluginCheck, type Tool, type ToolContext } from "chasqui"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const folder = fileURLToPath(new URL(".", import.meta.url))
const context: ToolContext = {
  callId: "call-0",
  sessionId: "session",
  signal: new AbortController().signal,
  tokensLeft: 0,
  report: () => undefined,
  spend: () => undefined,
}

let service: Server
let tools: ReadonlyMap<string, Tool>
beforeAll(async () => {
  service = createServer((request, response) => {
    if (request.headers.authorization !== "Bearer token-1") return void response.writeHead(401).end()
    const url = new URL(request.url ?? "", "http://service")
    const city = decodeURIComponent(url.pathname.split("/")[3] ?? "")
    response.end(JSON.stringify({ city, temperature: 7, ...Object.fromEntries(url.searchParams) }))
  })
  await new Promise<void>((done) => service.listen(0, "127.0.0.1", done))
  const origin = `http://127.0.0.1:${(service.address() as AddressInfo).port}`
  const weather = await plugin(folder, { config: { origin, token: "token-1" }, http: { addresses: "any" } })
  tools = new Map(weather.tools.map((tool) => [tool.name, tool]))
})
afterAll(() => {
  service.closeAllConnections()
  service.close()
})

async function call(name: string, input: object) {
  const tool = tools.get(name)!
  const checked = await tool.check(input as never)
  return checked.ok ? tool.execute(checked.input as never, context) : checked.problems
}

describe("the weather plugin", () => {
  it("passes the check without a warning", () => {
    expect(pluginCheck(folder).problems).toEqual([])
  })

  it("asks the service for the current weather, with defaults and configuration filled in", async () => {
    expect(await call("current_weather", { city: "Rio / Niterói" })).toEqual({
      city: "Rio / Niterói",
      temperature: 7,
      unit: "celsius",
      language: "en",
    })
  })

  it("computes the wind chill in its module", async () => {
    expect(await call("wind_chill", { celsius: -10, wind_kmh: 30 })).toEqual({ feels_like_celsius: -19.5 })
    await expect(call("wind_chill", { celsius: 25, wind_kmh: 30 })).rejects.toThrow("Wind chill is defined up to 10 °C")
  })

  it("runs its command, whatever the model writes", async () => {
    expect(await call("usual_weather", { city: "Lima", month: 7 })).toEqual({
      city: "Lima",
      month: 7,
      mean_high_celsius: 19,
    })
    await expect(call("usual_weather", { city: "--month=1; rm -rf $HOME", month: 7 })).rejects.toThrow(
      "The almanac has oslo and lima",
    )
  })

  it("tells the model which field is wrong", async () => {
    expect(await call("usual_weather", { city: "Lima", month: 13 })).toEqual(["month: must be at most 12, not 13"])
  })
})
