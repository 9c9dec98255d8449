import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, it } from "vitest"
import {
  isPrivateFolder,
  readSnapshot,
  snapshotKey,
  snapshotPath,
  writeSnapshot,
} from "../../src/python/snapshot-file.ts"

const folder = mkdtempSync(join(tmpdir(), "chasqui-snapshot-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const key = snapshotKey(["one"])
const image = Uint8Array.from({ length: 5000 }, (_, i) => i * 7)

it("gives back the image that was written, and nothing under another key", () => {
  const path = snapshotPath(folder, key)
  expect(writeSnapshot(path, key, image)).toBe(true)
  expect(Buffer.from(readSnapshot(path, key)!)).toEqual(Buffer.from(image))
  expect(readSnapshot(path, snapshotKey(["two"]))).toBeUndefined()
  expect(statSync(path).mode & 0o077).toBe(0)
})

it("refuses a file in which any part is changed or missing", () => {
  const path = join(folder, "damaged")
  writeSnapshot(path, key, image)
  const whole = readFileSync(path)
  for (const at of [0, 20, 100, 140, 200, whole.length - 1]) {
    const changed = Buffer.from(whole)
    changed[at]! ^= 1
    writeFileSync(path, changed)
    expect(readSnapshot(path, key)).toBeUndefined()
  }
  for (const length of [0, 10, 100, 148, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, length))
    expect(readSnapshot(path, key)).toBeUndefined()
  }
})

it("separates the parts of a key", () => {
  expect(snapshotKey(["ab", "c"])).not.toBe(snapshotKey(["a", "bc"]))
})

it("closes a folder that others could write to, and takes no link for a folder", () => {
  chmodSync(folder, 0o777)
  expect(isPrivateFolder(folder)).toBe(true)
  expect(statSync(folder).mode & 0o022).toBe(0)
  symlinkSync(folder, join(folder, "link"))
  expect(isPrivateFolder(join(folder, "link"))).toBe(false)
})
