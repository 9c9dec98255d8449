/** What a jailed process could say that has been taken over: a real process, a real pipe, and a program that lies. */
import { spawn } from "node:child_process"
import { expect, it } from "vitest"
import { JailedProcess, ProcessGone } from "../../src/python/jailed-process.ts"
import { defaultLimits } from "../../src/python/limits.ts"

const limits = { ...defaultLimits, outputBytes: 1_000, artifactBytes: 1_000 }

/** Answers the first frame of the host by running `reply`, which has `write`, `frame` and the request's `id`. */
const program = (reply: string) => `
const { writeSync } = require("node:fs")
const write = (bytes) => { try { for (let at = 0; at < bytes.length; ) at += writeSync(3, bytes, at) } catch {} }
const frame = (json, attachment = Buffer.alloc(0), claimed = attachment.length) => {
  const text = Buffer.from(typeof json === "string" ? json : JSON.stringify(json))
  const head = Buffer.alloc(8)
  head.writeUInt32LE(text.length, 0)
  head.writeUInt32LE(claimed, 4)
  return Buffer.concat([head, text, attachment])
}
const ran = (id, more, attachment) => frame({ type: "ran", id, outcome: { status: "completed", stdoutCut: false, stderrCut: false,
  result: null, error: null, traceback: null, cause: null, files: [], omitted: 0, ...more } }, attachment)
process.stdin.once("data", (bytes) => {
  const id = JSON.parse(bytes.subarray(8, 8 + bytes.readUInt32LE(0))).id
  ${reply}
})
process.stdin.on("end", () => process.exit(0))
`

const jail = {
  kind: "process",
  cacheFolder: "",
  mappedMb: 0,
  resident: { processMb: 4_000, interpreterMb: 0 },
} as const

function liar(reply: string): JailedProcess {
  const start = () =>
    spawn(process.execPath, ["-e", program(reply)], { env: {}, stdio: ["pipe", "pipe", "pipe", "pipe"] })
  return new JailedProcess(limits, jail, start)
}

const ask = (child: JailedProcess, onOutput?: () => void) =>
  child.request(
    { type: "run", box: 1, code: "1", timeoutMs: 100 },
    { deadlineMs: 20_000, ...(onOutput && { onOutput }) },
  )

it.each([
  ["no JSON", 'write(frame("{"))', /broke the protocol/],
  ["text that is no UTF-8", "write(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0xff]))", /broke the protocol/],
  ["a frame of 4 GB", "write(Buffer.alloc(8, 255))", /broke the protocol: .*over the limit/],
  ["an attachment of 4 GB", 'write(frame({ type: "created", id }, undefined, 0xffffffff))', /over the limit/],
  ["a reply to another request", 'write(frame({ type: "created", id: id + 1 }))', /answered what nobody asked/],
  ["a second answer", "write(ran(id)); write(ran(id))", null],
  [
    "a greeting in the middle",
    'write(frame({ type: "ready", snapshot: "made" }, Buffer.alloc(9)))',
    /what nobody asked/,
  ],
  [
    "output without end",
    'for (;;) write(frame({ type: "output", id, stream: "stdout", text: "x".repeat(500) }))',
    /printed more/,
  ],
  [
    "output on a stream of its own",
    'write(frame({ type: "output", id, stream: "__proto__", text: "x" }))',
    /reply that is none/,
  ],
  [
    "a file outside",
    'write(ran(id, { files: [{ path: "../../x", bytes: 1 }] }, Buffer.alloc(1)))',
    /reply that is none/,
  ],
  [
    "files that hold less than they claim",
    'write(ran(id, { files: [{ path: "x", bytes: 1e9 }] }, Buffer.alloc(1)))',
    /reply that is none/,
  ],
  ["fields of an array", "write(frame([1]))", /reply that is none/],
  [
    "JSON that is nested deeply",
    'write(frame("[".repeat(1e5) + "]".repeat(1e5)))',
    /reply that is none|broke the protocol/,
  ],
  ["the end of the process", "process.exit(0)", /ended by itself/],
])("ends the process that sends %s", async (_name, reply, reason) => {
  const child = liar(reply)
  const outcome = await ask(child, () => undefined).catch((error: unknown) => error)
  if (reason === null) expect(outcome).toMatchObject({ reply: { type: "ran" } })
  else {
    expect(outcome).toBeInstanceOf(ProcessGone)
    expect((outcome as ProcessGone).message).toMatch(reason)
  }
  await expect.poll(() => child.gone !== undefined, { timeout: 20_000 }).toBe(true)
  await expect(ask(child)).rejects.toBeInstanceOf(ProcessGone)
  await child.close()
})

it("takes nothing from a reply but what its type has", async () => {
  const child = liar(
    'write(frame(\'{"type":"ran","id":\' + id + \',"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"outcome":{"status":"completed","stdoutCut":false,"stderrCut":false,"result":"1","error":null,"traceback":null,"cause":null,"files":[],"omitted":0,"__proto__":{"polluted":1},"more":1}}\'))',
  )
  const { reply } = await ask(child)
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  expect(Object.keys(reply)).toEqual(["type", "id", "outcome"])
  expect(reply.type === "ran" && Object.keys(reply.outcome).sort()).toEqual([
    "cause",
    "error",
    "files",
    "omitted",
    "result",
    "status",
    "stderrCut",
    "stdoutCut",
    "traceback",
  ])
  await child.close()
})
