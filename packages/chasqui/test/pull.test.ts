import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { pull as download, type PullError, type PullOptions } from "../src/pull.ts"
import { HubServer } from "./hub-server.ts"

const weights = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251))
const files = {
  "config.json": Buffer.from('{"model_type": "llama"}'),
  "tokenizer.json": Buffer.from("{}"),
  "README.md": Buffer.from("not needed"),
  "original/consolidated.00.pth": Buffer.from("not needed either"),
  "pytorch_model.bin": Buffer.from("nor this"),
  "model.safetensors": weights,
}
const server = new HubServer(files)
const root = mkdtempSync(join(tmpdir(), "chasqui-pull-"))
let hubUrl: string
let folder: string
let count = 0

beforeAll(async () => {
  hubUrl = await server.listen()
})
afterAll(async () => {
  await server.close()
  rmSync(root, { recursive: true })
})
beforeEach(() => {
  server.fault = {}
  server.requests.length = 0
  folder = join(root, `${count++}`)
})

const pull = (options: Partial<PullOptions> = {}) =>
  download({ repository: "owner/model", folder, hubUrl, sleep: async () => undefined, ...options })

const failed = async (options: Partial<PullOptions> = {}): Promise<PullError> => {
  try {
    await pull(options)
  } catch (error) {
    return error as PullError
  }
  throw new Error("it did not fail")
}

const bodies = () =>
  server.requests.filter(({ url, range }) => url.endsWith("/model.safetensors") && range !== "bytes=0-0")

describe("pull", () => {
  it("downloads the files that are needed, and no others", async () => {
    expect(await pull()).toEqual({ files: ["tokenizer.json", "config.json", "model.safetensors"], bytes: 300_025 })
    expect(readdirSync(folder).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"])
    expect(readFileSync(join(folder, "model.safetensors")).equals(weights)).toBe(true)
  })

  it("leaves what is there and right, and replaces what is not", async () => {
    await pull()
    server.requests.length = 0
    await pull()
    expect(server.requests.map(({ url }) => url).filter((url) => url.includes("resolve"))).toEqual([])
    const damaged = Buffer.from(weights)
    damaged[7] = 99
    writeFileSync(join(folder, "model.safetensors"), damaged)
    await pull()
    expect(readFileSync(join(folder, "model.safetensors")).equals(weights)).toBe(true)
  })

  it("goes on where a connection was cut", async () => {
    server.fault = { cut: { file: "model.safetensors", after: 100_000, times: 2 } }
    const states: string[] = []
    await pull({ onProgress: ({ file, state }) => file === "model.safetensors" && states.push(state) })
    expect(bodies().map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0))).toEqual([
      0, 100_000, 200_000,
    ])
    expect(states.filter((state) => state === "resumed")).toHaveLength(2)
    expect(readFileSync(join(folder, "model.safetensors")).equals(weights)).toBe(true)
  })

  it("goes on in a second call where the first gave up", async () => {
    server.fault = { cut: { file: "model.safetensors", after: 120_000, times: 1 } }
    expect(await failed({ retries: 0 })).toMatchObject({ reason: "connection-lost" })
    expect(statSync(join(folder, "model.safetensors.partial")).size).toBe(120_000)
    expect(existsSync(join(folder, "model.safetensors"))).toBe(false)
    server.requests.length = 0
    await pull()
    expect(bodies().map(({ range }) => range)).toEqual(["bytes=120000-299999"])
    expect(readFileSync(join(folder, "model.safetensors")).equals(weights)).toBe(true)
  })

  it("takes a connection that says nothing for lost", async () => {
    server.fault = { stall: { file: "model.safetensors", after: 50_000, times: 1 } }
    await pull({ idleTimeoutMs: 300 })
    expect(bodies()).toHaveLength(2)
    server.fault = { stall: { file: "tokenizer.json", after: 0, times: 9 } }
    rmSync(folder, { recursive: true })
    expect(await failed({ idleTimeoutMs: 100, retries: 1 })).toMatchObject({ reason: "connection-lost" })
  })

  it("tries again when the hub is busy, and gives up in the end", async () => {
    server.fault = { status: { path: /config\.json/, code: 503, times: 2 } }
    await pull()
    server.fault = { status: { path: /tree/, code: 429, times: 9 } }
    expect(await failed()).toMatchObject({ reason: "connection-lost", detail: expect.stringContaining("status 429") })
  })

  it("deletes what has the wrong checksum, large and small", async () => {
    server.fault = { wrong: "model.safetensors" }
    expect(await failed()).toMatchObject({ reason: "wrong-checksum" })
    expect(readdirSync(folder).sort()).toEqual(["config.json", "tokenizer.json"])
    rmSync(folder, { recursive: true })
    server.fault = { wrong: "config.json" }
    expect(await failed()).toMatchObject({ reason: "wrong-checksum", detail: expect.stringContaining("config.json") })
  })

  it("sends the token and never shows it", async () => {
    server.fault = { token: "hf_right" }
    await pull({ token: "hf_right" })
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer hf_right"]))
    rmSync(folder, { recursive: true })
    const error = await failed({ token: "hf_secret" })
    expect(error).toMatchObject({ reason: "not-allowed", fix: expect.stringContaining("HF_TOKEN") })
    expect(JSON.stringify([error, error.message, error.stack])).not.toContain("hf_secret")
    expect(await failed()).toMatchObject({ reason: "not-allowed" })
  })

  it.each<[string, Partial<PullOptions>, string]>([
    ["a repository that is not there", { repository: "owner/none" }, "not-found"],
    ["a name that is none", { repository: "../../etc" }, "bad-request"],
    ["a revision that is not there", { revision: "v9" }, "not-found"],
    ["a hub that does not answer", { hubUrl: "http://127.0.0.1:1", retries: 0 }, "connection-lost"],
  ])("refuses %s by name", async (_, options, reason) => {
    expect(await failed(options)).toMatchObject({ reason })
  })

  it("stops at once when it is told to", async () => {
    server.fault = { stall: { file: "model.safetensors", after: 50_000, times: 1 } }
    const controller = new AbortController()
    const onProgress: PullOptions["onProgress"] = ({ file, bytes }) => {
      if (file === "model.safetensors" && bytes >= 50_000) controller.abort()
    }
    expect(await failed({ signal: controller.signal, onProgress })).toMatchObject({ reason: "aborted" })
    expect(statSync(join(folder, "model.safetensors.partial")).size).toBe(50_000)
  })
})

describe("chasqui pull", () => {
  const program = fileURLToPath(new URL("../bin/chasqui.mjs", import.meta.url))
  const chasqui = async (args: readonly string[], token = "") => {
    const child = spawn(process.execPath, [program, "pull", ...args], {
      env: { ...process.env, HF_ENDPOINT: hubUrl, HF_TOKEN: token },
    })
    const text = { out: "", err: "" }
    child.stdout.on("data", (chunk) => (text.out += chunk))
    child.stderr.on("data", (chunk) => (text.err += chunk))
    const status = await new Promise((resolve) => child.once("close", resolve))
    return { status, ...text }
  }

  it("shows progress, and the folder at the end", async () => {
    const { status, out, err } = await chasqui(["owner/model", folder])
    expect(status).toBe(0)
    expect(out).toBe(`${folder}: 3 files, 0.30 MB\n`)
    expect(err).toContain("model.safetensors: done (0.30 MB)")
  })

  it("says what is wrong, without the token", async () => {
    server.fault = { token: "hf_right" }
    const { status, out, err } = await chasqui(["owner/model", folder], "hf_secret")
    expect({ status, out }).toEqual({ status: 1, out: "" })
    expect(err).toMatch(/does not give owner\/model away \(status 401\)/)
    expect(err).not.toContain("hf_secret")
    expect((await chasqui([])).status).toBe(2)
  })
})
