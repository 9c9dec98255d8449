import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { encodeFrame, FrameError, FrameReader } from "../../src/python/frame.ts"
import { decodeReply, isSafePath } from "../../src/python/protocol.ts"

const limits = { jsonBytes: 10_000, attachmentBytes: 10_000 }

describe("frames", () => {
  it("come out as they went in, however the bytes are cut", () => {
    const frames = fc.array(fc.tuple(fc.jsonValue(), fc.uint8Array({ maxLength: 50 })), { maxLength: 5 })
    const cuts = fc.array(fc.nat(7), { minLength: 1, maxLength: 20 })
    const property = fc.property(frames, cuts, (list, sizes) => {
      const bytes = Buffer.concat(list.flatMap(([json, attachment]) => encodeFrame(json, [attachment])))
      const reader = new FrameReader(limits)
      const read: unknown[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = 1 + (sizes[i % sizes.length] ?? 0)
        for (const frame of reader.push(bytes.subarray(at, at + size)))
          read.push([frame.json, Buffer.from(frame.attachment)])
        at += size
      }
      expect(read).toEqual(
        list.map(([json, attachment]) => [JSON.parse(JSON.stringify(json)), Buffer.from(attachment)]),
      )
    })
    fc.assert(property, { seed: 1, numRuns: 200 })
  })

  it.each([
    ["a JSON length over the limit", [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]],
    ["an attachment over the limit", [2, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]],
    ["text that is no JSON", [2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7b]],
    ["text that is no UTF-8", [2, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff]],
  ])("refuse %s before anything is stored", (_, bytes) => {
    expect(() => [...new FrameReader(limits).push(Uint8Array.from(bytes))]).toThrow(FrameError)
  })
})

const outcome = {
  status: "completed",
  stdoutCut: false,
  stderrCut: false,
  result: "1",
  error: null,
  traceback: null,
  cause: null,
  files: [],
  omitted: 0,
}

describe("replies of a process that was taken over", () => {
  it("are taken when they are what they must be, and lose what they must not have", () => {
    expect(decodeReply({ type: "ran", id: 3, outcome: { ...outcome, extra: 1 } }, 0)).toEqual({
      type: "ran",
      id: 3,
      outcome,
    })
  })

  it.each([
    ["no object", 7],
    ["an array", []],
    ["an unknown type", { type: "exec", id: 1 }],
    ["no id", { type: "created" }],
    ["an id that is no whole number", { type: "created", id: 1.5 }],
    ["output on another stream", { type: "output", id: 1, stream: "stdin", text: "" }],
    ["output that is no text", { type: "output", id: 1, stream: "stdout", text: {} }],
    ["an unknown status", { type: "ran", id: 1, outcome: { ...outcome, status: "fine" } }],
    ["a death without a cause", { type: "ran", id: 1, outcome: { ...outcome, status: "died" } }],
    ["a result that is no text", { type: "ran", id: 1, outcome: { ...outcome, result: 1 } }],
    [
      "a file that leaves its folder",
      { type: "ran", id: 1, outcome: { ...outcome, files: [{ path: "../x", bytes: 0 }] } },
    ],
    [
      "files larger than their bytes",
      { type: "ran", id: 1, outcome: { ...outcome, files: [{ path: "x", bytes: 9 }] } },
    ],
    ["a negative size", { type: "ran", id: 1, outcome: { ...outcome, files: [{ path: "x", bytes: -1 }] } }],
  ])("are refused with %s", (_, json) => {
    expect(decodeReply(json, 0)).toBeUndefined()
  })

  it("never make the decoder throw", () => {
    const property = fc.property(fc.anything(), fc.nat(), (json, bytes) => {
      decodeReply(json, bytes)
      decodeReply({ type: "ran", id: 1, outcome: json }, bytes)
    })
    fc.assert(property, { seed: 2, numRuns: 500 })
  })
})

it.each(["a", "a/b.txt", "ünï/çødé", "a b", ".hidden", "..a", "a..b/c", "🌍", "console.txt", "nul1", "com"])(
  "%j is a path that stays below its folder",
  (path) => {
    expect(isSafePath(path)).toBe(true)
  },
)

it.each([
  "",
  "/a",
  "a/",
  "a//b",
  ".",
  "..",
  "../a",
  "a/../b",
  "a/./b",
  "a\\b",
  "C:a",
  "a:b",
  "a\nb",
  "a\0",
  "a\u001b[31m",
  "a\u009b31m",
  "a\u202etxt.exe",
  "a\u2028b",
  "a\ud800",
  ".. /a",
  "a/...",
  "a.",
  "a ",
  "NUL",
  "a/con.txt",
  "aux .b",
  "COM¹",
  "x".repeat(1025),
])("%j is none", (path) => {
  expect(isSafePath(path)).toBe(false)
})
