/** `chasqui chat` in a real pseudo-terminal, against a server on the loopback interface. */
import { createServer, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { hasTerminal, Screen } from "./terminal-screen.ts"

let server: Server
let screen: Screen | undefined
afterEach(() => {
  screen?.kill()
  server.closeAllConnections()
  server.close()
})

/** Answers each request with the next writer. */
async function serve(...answers: ((response: ServerResponse) => void)[]): Promise<string> {
  let next = 0
  server = createServer((request, response) => {
    request.resume()
    response.writeHead(200, { "content-type": "text/event-stream" })
    answers[next++]?.(response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}
const event = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
const says = (text: string) => (response: ServerResponse) =>
  response.end(`${event({ content: text })}${event({}, "stop")}data: [DONE]\n\n`)
const calls = (name: string, input: object) => (response: ServerResponse) => {
  const call = { index: 0, id: "x", function: { name, arguments: JSON.stringify(input) } }
  response.end(`${event({ tool_calls: [call] })}${event({}, "tool_calls")}data: [DONE]\n\n`)
}
/** Goes on until the other side hangs up. */
const talks = (response: ServerResponse) => {
  const timer = setInterval(() => response.write(event({ content: "tick " })), 5)
  response.on("close", () => clearInterval(timer))
}

function chatAt(url: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Screen {
  screen = new Screen(["chat", "--server", url, "--model", "slow", ...args], env)
  return screen
}

describe.skipIf(!hasTerminal)("chasqui chat at a terminal", () => {
  it("stops the step and not the program on Ctrl-C, edits lines and brings them back", async () => {
    const url = await serve(talks, says("Fine."), says("Again."))
    const screen = chatAt(url)
    await screen.shows("? ")
    screen.type("go on\r")
    await screen.shows("tick tick")
    screen.type("\u0003")
    await screen.shows("stopped: aborted")
    await screen.shows("? ")
    screen.type("helxo\u001b[D\u007fl\r") // left, rub out the x, an l
    await screen.shows("Fine.")
    await screen.shows("? ")
    screen.type("\u001b[A") // up
    await screen.shows("hello")
    screen.type("\r")
    await screen.shows("Again.")
    await screen.shows("? ")
    screen.type("\u0004")
    expect(await screen.ended).toBe(0)
  })
  it("clears the line on Ctrl-C, and leaves after two at an empty prompt", async () => {
    const url = await serve(says("never"))
    const screen = chatAt(url)
    await screen.shows("? ")
    screen.type("half a quest")
    await screen.shows("half a quest")
    screen.type("\u0003")
    await screen.shows("? ")
    screen.type("\u0003")
    await screen.shows("(Ctrl-C again or Ctrl-D to leave)")
    await screen.shows("? ")
    screen.type("\u0003")
    expect(await screen.ended).toBe(130)
    expect(screen.text).not.toContain("never")
  })
  it("asks before a call, shows what it is, and runs it or not", async () => {
    const code = { code: "print(6 * 7)" }
    const url = await serve(
      calls("code_interpreter", code),
      says("Done."),
      calls("code_interpreter", code),
      says("Pity."),
    )
    const screen = chatAt(url, ["--approve"])
    await screen.shows("? ")
    screen.type("compute\r")
    await screen.shows('code_interpreter {"code":"print(6 * 7)"}')
    await screen.shows("run it?")
    screen.type("y\r")
    await screen.shows("42")
    await screen.shows("Done.")
    await screen.shows("? ")
    screen.type("once more\r")
    await screen.shows("run it?")
    screen.type("not today\r")
    await screen.shows("refused the call of code_interpreter: not today")
    await screen.shows("Pity.")
  })
  it.each([
    ["in colour", { NO_COLOR: undefined }, true],
    ["without, for NO_COLOR", { NO_COLOR: "1" }, false],
  ] as const)("shows what a model wrote with its control characters made visible, %s", async (_, env, coloured) => {
    const url = await serve(says("\u001b]0;owned\u0007\u001b[2J\u202edone"))
    const screen = chatAt(url, [], env)
    await screen.shows("? ")
    screen.type("go\r")
    await screen.shows("done")
    expect(screen.text).toContain("\\x1b]0;owned\\x07\\x1b[2J\\u202edone")
    expect(screen.text).not.toContain("\u001b]0;owned")
    expect(screen.text).not.toContain("\u001b[2J")
    expect(screen.text.includes("\u001b[2m")).toBe(coloured)
  })
})
