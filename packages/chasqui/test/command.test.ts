import { execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { readTrace, replay } from "@chasqui/core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const program = fileURLToPath(new URL("../bin/chasqui.mjs", import.meta.url))
const absent = join(import.meta.dirname, "no-such-folder")
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "chasqui-command-"))
})
afterAll(() => rmSync(folder, { recursive: true }))

function chasqui(args: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    input,
    encoding: "utf8",
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

describe("chasqui run", () => {
  it("answers its default question with at least two tools", () => {
    const { status, stdout } = chasqui(["run"])
    expect(status).toBe(0)
    expect(stdout).toContain("→ brave_search")
    expect(stdout).toContain("→ code_interpreter")
    expect(stdout).toContain("is 5073.")
    expect(stdout).toMatch(/tools {3}brave_search \(local-documents\)/)
  })
  it("writes a trace, and nothing else, to standard output", () => {
    const { status, stdout } = chasqui(["run", "--json", "How tall is Mount Fuji?"])
    expect(status).toBe(0)
    expect(readTrace(stdout).header.model).toBe("tiny-llama")
    expect(replay(stdout).at(-1)).toMatchObject({ type: "run-end", text: "Mount Fuji is 3776 meters tall." })
  })
  it.each<[string, readonly string[], number, RegExp]>([
    ["a folder without a checkpoint", ["--model", absent], 1, /no readable file .*tokenizer\.json/],
    ["a number that is none", ["--max-steps", "many"], 2, /takes a number of at least 1/],
    ["an unknown option", ["--colour"], 2, /Unknown option '--colour'/],
    ["documents that are not there", ["--documents", absent], 1, /no folder/],
    ["a server without a model's name", ["--server", "http://127.0.0.1:1/v1"], 2, /needs --model/],
    ["a server that does not answer", ["--server", "http://127.0.0.1:1/v1", "--model", "x"], 1, /cannot be reached/],
  ])("says what is wrong with %s", (_, args, code, says) => {
    const { status, stdout, stderr } = chasqui(["run", ...args])
    expect(status).toBe(code)
    expect(stderr).toMatch(says)
    expect(stdout).not.toContain("    at ")
    expect(stderr).not.toContain("    at ")
  })
  it("fails in JSON where it was asked for JSON", () => {
    const usage = chasqui(["run", "--json", "--max-steps", "many"])
    expect(usage.status).toBe(2)
    expect(JSON.parse(usage.stderr)).toEqual({
      error: { code: "usage", message: expect.stringContaining("at least 1") },
    })
    const failed = chasqui(["run", "--json", "--model", absent])
    expect(failed.status).toBe(1)
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { code: "not-found" } })
    expect(usage.stdout + failed.stdout).toBe("")
  })
  it("ends with 3 when a limit stops it, and with 130 on an interrupt", async () => {
    expect(chasqui(["run", "--max-steps", "1"]).status).toBe(3)
    const child = spawn(process.execPath, [program, "run", "--json"])
    child.stdout.on("data", (text) => String(text).includes('"tool-call-end"') && child.kill("SIGINT"))
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(130)
  })
})

describe("chasqui chat", () => {
  it("keeps its session in a folder and goes on with it", () => {
    const args = ["chat", "--sessions", join(folder, "sessions")]
    expect(chasqui(args, "How tall is Mount Fuji?\n").stdout).toContain("3776")
    const again = chasqui(args, "What is the capital of Peru?\n")
    expect(again.stdout).toContain("5 turns so far")
    expect(again.stdout).toContain("The capital of Peru is Lima.")
    expect(again.status).toBe(0)
  })
  it("asks before a call that may change something", () => {
    const asked = chasqui(["chat", "--approve"], "What is 15% of 2480?\ny\n")
    expect(asked.stdout).toContain("372")
    const refused = chasqui(["chat", "--approve"], "What is 15% of 2480?\nnot now\n")
    expect(refused.stdout).toContain("The user refused the call of code_interpreter: not now")
  })
})

describe("chasqui chat --json", () => {
  it("gives the events of each line's run, and takes decisions as a line", () => {
    const decisions = '{"call-0": {"kind": "refuse", "reason": "not now"}}'
    const input = `What is 15% of 2480?\n${decisions}\nHow tall is Mount Fuji?\n`
    const { stdout, status } = chasqui(["chat", "--json", "--approve"], input)
    expect(status).toBe(0)
    const ends = replay(stdout).filter((event) => event.type === "run-end")
    expect(ends.map(({ stopReason }) => stopReason).slice(0, 1)).toEqual(["needs-approval"])
    expect(ends.at(-1)?.text).toContain("3776")
    expect(stdout).toContain("The user refused the call of code_interpreter: not now")
  })
})

describe("chasqui python", () => {
  it("answers each line with one line, whatever the code does", () => {
    const codes = ["x = 2", "x + 40", "1 / 0", "import os; os._exit(3)", "print('still here')"]
    const lines = codes.map((code) => JSON.stringify({ code, session: "s" }))
    const { stdout } = chasqui(["python", "--json"], `${lines.join("\n")}\nnot json\n`)
    const answers = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(answers.map(({ status }) => status).slice(0, 5)).toEqual([
      "completed",
      "completed",
      "error",
      "died",
      "completed",
    ])
    expect(answers[1].result).toBe("42")
    expect(answers[4].stdout).toBe("still here\n")
    expect(answers).toHaveLength(6)
  })
})

describe("chasqui parse", () => {
  it("answers each line with one line, whatever it holds", () => {
    const lines = [
      '{"raw": "{\\"name\\": \\"f\\", \\"parameters\\": {}}<|eot_id|>", "tools": ["f"]}',
      "{",
      '{"raw": 1}',
      '{"raw": "hi"}',
    ]
    const { stdout } = chasqui(["parse"], `${lines.join("\n")}\n`)
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { text: "", toolCalls: [{ name: "f", arguments: {} }], stop: "eot", complete: true },
      { error: { code: "bad-json", message: expect.any(String) } },
      { error: { code: "bad-request", message: expect.stringContaining('"raw"') } },
      { text: "hi", toolCalls: [], stop: null, complete: false },
    ])
  })
})

describe("chasqui render and tokenize", () => {
  const checkpoint = fileURLToPath(new URL("../../tiny-llama/checkpoint", import.meta.url))
  it("give the prompt and its ids, through the built-in layout and through the checkpoint's own template alike", () => {
    const request = {
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi <|eot_id|> there" },
      ],
      builtin_tools: ["brave_search"],
      add_generation_prompt: true,
    }
    const line = `${JSON.stringify(request)}\n`
    const own = JSON.parse(chasqui(["render", "--tokenizer", checkpoint], line).stdout)
    expect(own.prompt).toMatch(/^<\|begin_of_text\|>.*Tools: brave_search.*<\|end_header_id\|>\n\n$/s)
    const template = join(folder, "template.jinja")
    writeFileSync(template, JSON.parse(readFileSync(join(checkpoint, "tokenizer_config.json"), "utf8")).chat_template)
    const jinja = JSON.parse(chasqui(["render", "--tokenizer", checkpoint, "--template", template], line).stdout)
    expect(jinja).toEqual({ ...own, renderer: "template" })
    const back = JSON.parse(chasqui(["tokenize"], `${JSON.stringify({ ids: own.ids })}\n`).stdout)
    expect(back.text).toBe(own.prompt)
  })
  it("answer what they cannot do with an error in its place", () => {
    const { stdout } = chasqui(["render"], '{"messages": [{"role": "root", "content": "x"}]}\n{"messages": 3}\n')
    const codes = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).error.code)
    expect(codes[0]).toBe("unknown-role")
    expect(codes).toHaveLength(2)
  })
})

describe("chasqui trace", () => {
  const hostile = `<script>document.title="owned"</script><img src=x onerror='document.title="owned"'>\u001b[31m\u202e`
  const trace = () =>
    [
      {
        type: "trace",
        version: 1,
        sessionId: `s${hostile}`,
        model: hostile,
        fingerprint: "f",
        calls: 0,
        turns: [],
        options: { tools: [], builtinTools: null, toolsInUserMessage: true, date: hostile, dialect: "hf" },
      },
      { type: "run-start", input: hostile, atMs: 0 },
      { type: "step-start", step: 0, atMs: 1 },
      { type: "tool-call-end", call: { id: "call-0", name: "f", input: { a: hostile }, syntax: "json-call" }, atMs: 5 },
      {
        type: "nested-event",
        callId: "call-0",
        agent: hostile,
        event: { type: "run-end", stopReason: "end-of-turn", text: `nested ${hostile}`, usage: {} },
        atMs: 6,
      },
      { type: "tool-result", callId: "call-0", name: hostile, output: hostile, isError: false, durationMs: 3, atMs: 9 },
      {
        type: "step-end",
        step: 0,
        turn: {
          role: "assistant",
          content: hostile,
          toolCalls: [{ id: "call-0", name: "f", input: { a: hostile }, syntax: "json-call" }],
          unreadCalls: [{ id: "call-1", name: null, raw: `{ broken ${hostile}` }],
          end: "eom",
        },
        usage: { prompt: 10, cached: 5, generated: 3, forced: 0, discarded: 0 },
        atMs: 10,
      },
      { type: "guard-stop", stage: "output", categories: [], reason: hostile, atMs: 10 },
      {
        type: "run-end",
        stopReason: "max-steps",
        text: hostile,
        usage: { prompt: 10, cached: 5, generated: 3, forced: 0, discarded: 0 },
        atMs: 11,
      },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join("")

  it("shows a trace without letting it at the terminal", () => {
    const file = join(folder, "hostile.jsonl")
    writeFileSync(file, trace())
    const { status, stdout } = chasqui(["trace", "show", file])
    expect(status).toBe(0)
    expect(stdout).toContain("\\x1b[31m\\u202e")
    expect(stdout).not.toMatch(/[\u001b\u202e]/)
  })
  it("writes a page that holds it as text, under a policy without scripts", () => {
    const file = join(folder, "hostile.jsonl")
    writeFileSync(file, trace())
    expect(chasqui(["trace", "view", file]).status).toBe(0)
    const page = readFileSync(`${file}.html`, "utf8")
    expect(page).not.toMatch(/<script|<img|javascript:/i)
    expect(page).toMatch(
      /Content-Security-Policy" content="default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'"/,
    )
  })
  it("sums up each run in one JSON object", () => {
    const file = join(folder, "hostile.jsonl")
    writeFileSync(file, trace())
    const { status, stdout } = chasqui(["trace", "show", file, "--json"])
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ steps: 1, calls: [{ callId: "call-0" }], stopReason: "max-steps" })
    expect(JSON.parse(chasqui(["trace", "view", file, "--json"]).stdout)).toEqual({ page: `${file}.html` })
  })
  const browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync)
  if (browser === undefined) console.warn("SKIPPED: the trace page in a browser needs Chromium")
  it.skipIf(browser === undefined)(
    "is a page that a real browser shows and nothing in it runs (needs Chromium)",
    () => {
      const file = join(folder, "hostile.jsonl")
      writeFileSync(file, trace())
      chasqui(["trace", "view", file])
      const flags =
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"
      const dom = execFileSync(
        browser as string,
        [...flags.split(" "), `--user-data-dir=${join(folder, "browser")}`, "--dump-dom", `file://${file}.html`],
        { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
      )
      expect(dom).toMatch(/<title>s&lt;script&gt;/)
      expect(dom).toContain("10 tokens read, 5 cached (50 %)")
      expect(dom).toContain("unreadable call-1")
      expect(dom).toContain("nested &lt;script&gt;")
      expect(dom).toContain("forbidden by a guard (output): &lt;script&gt;")
      expect(dom).toContain("<i>&lt;|start_header_id|&gt;</i>")
    },
  )
  it.each([
    ["show", absent, 1],
    ["view", "", 2],
    ["blow", "x", 1],
  ])("refuses %s %j", (verb, file, code) => {
    expect(chasqui(["trace", verb, ...(file ? [file] : [])]).status).toBe(code)
  })
})

describe("chasqui", () => {
  it("lists its commands, and each shows its help", () => {
    const { stdout, status } = chasqui(["help"])
    expect(status).toBe(0)
    for (const name of [...stdout.matchAll(/^ {2}(\w+) {2}/gm)].map((match) => match[1] as string)) {
      expect(chasqui([name, "--help"]).stdout).toContain(`Usage: chasqui ${name}`)
    }
  })
})

describe("chasqui plan", () => {
  it("shows weights, cache and workspace of a known size, and the figures that are usually quoted", () => {
    const { status, stdout } = chasqui(["plan", "405B", "--context", "1024"])
    expect(status).toBe(0)
    expect(stdout).toContain("405B: 405.85 billion weights, 126 layers")
    expect(stdout).toMatch(/KV cache +0\.49 GiB +bf16, 1 x 1024 tokens, 504 KiB a token/)
    expect(stdout).toContain(
      "16 bits 810 (811.7)   8 bits 405 (408.0 in fp8)   4 bits 203 (219.7 in int4, its head in int8)",
    )
    expect(stdout).toContain("0.49 GiB (0.98 is often printed: that is twice too much)")
    expect(stdout).toMatch(/H200, 141 GB +140\.4 GiB +no \(\d together; this engine uses one\)/)
  })
  it("gives all figures of a folder as JSON", () => {
    const checkpoint = fileURLToPath(new URL("../../tiny-llama/checkpoint", import.meta.url))
    const { status, stdout } = chasqui(["plan", checkpoint, "--json", "--batch", "4", "--weights", "int8"])
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      model: { layers: 6, dim: 256, tied: true, context: 2048 },
      context: 2048,
      batch: 4,
      weights: "int8",
      plan: { weights: 5_125_120, embedding: 1_048_576, kvCache: 4 * 2048 * 3072, kvPerToken: 3072 },
    })
  })
  it.each<[string, readonly string[], RegExp]>([
    ["a model that is not there", ["9B"], /no model named "9B"\. Names are 1B, 3B, 8B, 70B, 405B/],
    ["no model", [], /takes one model/],
    ["a context beyond the model's", ["8B", "--context", "200000"], /at most 131072/],
    ["a format that is none", ["8B", "--weights", "int3"], /--weights takes as-stored, int8/],
    ["a batch that is none", ["8B", "--batch", "1.5"], /whole number/],
  ])("says what is wrong with %s", (_, args, says) => {
    const { status, stderr } = chasqui(["plan", ...args])
    expect(status).toBe(2)
    expect(stderr).toMatch(says)
  })
})

describe("weights and adapters on the command line", () => {
  it("quantises on load", () => {
    const { status, stdout } = chasqui(["run", "--weights", "int8", "How tall is Mount Fuji?"])
    expect(status).toBe(0)
    expect(stdout).toContain("3776")
  })
  it("keeps the cache in eight bits", () => {
    const { status, stdout } = chasqui(["run", "--kv", "fp8", "How tall is Mount Fuji?"])
    expect(status).toBe(0)
    expect(stdout).toContain("3776")
  })
  it.each<[string, readonly string[], number, RegExp]>([
    ["a format that is none", ["--weights", "int2"], 2, /--weights takes as-stored, int8/],
    ["a cache that is none", ["--kv", "int4"], 2, /--kv takes bf16, f32, fp8/],
    ["an adapter that is not there", ["--adapter", absent], 1, /adapter_config\.json/],
    [
      "an adapter for a server",
      ["--server", "http://127.0.0.1:1", "--model", "x", "--adapter", "a"],
      2,
      /--adapter is for the engine here/,
    ],
  ])("says what is wrong with %s", (_, args, code, says) => {
    const { status, stderr } = chasqui(["run", ...args])
    expect(status).toBe(code)
    expect(stderr).toMatch(says)
  })
})
