import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { expect, it } from "vitest"
import { isJailComplaint } from "../../src/python/jail.ts"
import { pythonSandbox } from "../../src/python/sandbox.ts"

const linux = process.platform === "linux"
const children = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)

/** The sandbox's process: the one started last, or the one that it became inside its namespaces. */
function jailedPid(): number {
  const started = children(process.pid).at(-1)!
  return children(started)[0] ?? started
}

it.skipIf(!linux)("stands around a process that sees nothing and may do nothing", async ({ skip }) => {
  await using sandbox = pythonSandbox({ spares: 0 })
  await sandbox.run("1")
  if (sandbox.walls !== "namespaces") skip("this system allows no user namespaces")
  const pid = jailedPid()
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1]
  expect([field("CapEff"), field("CapPrm"), field("NoNewPrivs")]).toEqual(["0000000000000000", "0000000000000000", "1"])
  for (const name of ["user", "mnt", "net", "pid", "ipc", "uts"])
    expect(readlinkSync(`/proc/${pid}/ns/${name}`)).not.toBe(readlinkSync(`/proc/self/ns/${name}`))
  expect(readFileSync(`/proc/${pid}/environ`, "utf8")).toBe("")
  expect(
    readFileSync(`/proc/${pid}/net/dev`, "utf8")
      .match(/^\s*\w+:/gm)
      ?.map((name) => name.trim()),
  ).toEqual(["lo:"])
  const root = readdirSync(`/proc/${pid}/root`)
  for (const name of ["etc", "proc", "sys", "dev", "bin", "sbin", "var", "boot"]) expect(root).not.toContain(name)
  const mounts = readFileSync(`/proc/${pid}/mounts`, "utf8").trim().split("\n")
  expect(mounts.filter((line) => !/ ro[, ]/.test(line))).toEqual([])
  const limits = readFileSync(`/proc/${pid}/limits`, "utf8")
  expect(limits).toMatch(/^Max core file size\s+0 /m)
  expect(limits).toMatch(/^Max file size\s+0 /m)
  expect(limits).toMatch(/^Max open files\s+64 /m)
  expect(limits).toMatch(/^Max data size\s+\d+ /m)
})

it.skipIf(!linux)("end a process that has fallen silent, and the call that waits for it", async () => {
  await using sandbox = pythonSandbox({ spares: 0, limits: { graceMs: 50 } })
  await sandbox.run("x = 1")
  process.kill(jailedPid(), "SIGSTOP")
  const outcome = await sandbox.run("1", { timeoutMs: 50 })
  expect(outcome).toMatchObject({
    status: "died",
    error: { message: expect.stringContaining("did not answer within") },
  })
  expect(await sandbox.run("'x' in globals()")).toMatchObject({ status: "completed", result: "False" })
})

it.skipIf(!linux)("let the host go on when the process is killed, and tell every session of it", async () => {
  await using sandbox = pythonSandbox({ spares: 0 })
  await sandbox.run("x = 1", { session: "a" })
  await sandbox.run("x = 1", { session: "b" })
  const call = sandbox.run("while True: pass", { session: "a" })
  setTimeout(() => process.kill(jailedPid(), "SIGKILL"), 50)
  expect(await call).toMatchObject({ status: "died" })
  expect(await sandbox.run("1", { session: "a" })).toMatchObject({ status: "completed", restarted: false })
  expect(await sandbox.run("1", { session: "b" })).toMatchObject({ status: "completed", restarted: true })
})

it.skipIf(!linux)("start one process for calls that come at once", async () => {
  const before = children(process.pid).length
  await using sandbox = pythonSandbox({ spares: 0 })
  await Promise.all(["a", "b", "c"].map((session) => sandbox.run("1", { session })))
  expect(children(process.pid).length - before).toBe(1)
})

it.each([
  ["unshare: unshare failed: Operation not permitted", true],
  ["mount: /tmp/x: permission denied.", true],
  ["/usr/bin/setpriv: error", true],
  ["file:///a/jailed.js:3\nTypeError: x is not a function", false],
  ["", false],
])("are known to be refused from what their tools say: %j", (text, refused) => {
  expect(isJailComplaint(text)).toBe(refused)
})
