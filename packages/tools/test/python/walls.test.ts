import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { isJailComplaint } from "../../src/python/jail.ts"
import { pythonSandbox } from "../../src/python/sandbox.ts"

const linux = process.platform === "linux"
const children = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)

const descendants = (pid: number): number[] => children(pid).flatMap((child) => [child, ...descendants(child)])
const isZombie = (pid: number): boolean => {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return true
  }
}

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

it.skipIf(!linux)("give the process no right to write, to start anything, or to read what is not its own", async () => {
  await using sandbox = pythonSandbox({ spares: 0 })
  await sandbox.run("1")
  const flags = readFileSync(`/proc/${jailedPid()}/cmdline`, "utf8").split("\0")
  expect(flags).toContain("--permission")
  const rights = flags.filter((flag) => flag.startsWith("--allow")).map((flag) => flag.split("=")[0])
  expect(new Set(rights)).toEqual(new Set(["--allow-addons", "--allow-fs-read"]))
  const readable = flags.filter((flag) => flag.startsWith("--allow-fs-read=")).map((flag) => flag.split("=")[1]!)
  for (const path of ["/", "/etc", "/proc", process.env.HOME ?? "/root", process.cwd()])
    expect(readable).not.toContain(path)
})

/** A host of its own, as a user would run one: `handle` is what it was started with, beside its standard streams. */
function startHost(namespaces: string, code: string, handle: number | "ignore" = "ignore") {
  const sandboxFile = fileURLToPath(new URL("../../src/python/sandbox.ts", import.meta.url))
  const program = `
    const { pythonSandbox } = await import(${JSON.stringify(sandboxFile)})
    const sandbox = pythonSandbox({ spares: 0, namespaces: "${namespaces}" })
    await sandbox.run("1")
    sandbox.run(${JSON.stringify(code)}, { timeoutMs: 30_000 })
    setTimeout(() => console.log("working"), 200)`
  const stdio = ["ignore", "pipe", "inherit", "ignore", "ignore", handle, "ignore", handle] as const
  return spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: [...stdio] })
}

describe.skipIf(!linux).each(["auto", "off"])("with namespaces %s", (namespaces) => {
  it("let no handle through that the host was itself started with", async () => {
    const folder = mkdtempSync(join(tmpdir(), "chasqui-walls-"))
    const secret = openSync(join(folder, "secret"), "w")
    const host = startHost(namespaces, "import time; time.sleep(30)", secret)
    try {
      await once(host.stdout!, "data")
      expect(readlinkSync(`/proc/${host.pid}/fd/7`)).toContain("secret")
      for (const pid of descendants(host.pid!)) {
        const handles = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
        // Its own root is one that Node itself opens.
        const foreign = handles.filter((each) => !/^(socket|pipe|anon_inode):|^\/dev\/null$|\/root$|^\/$/.test(each))
        expect(foreign).toEqual([])
      }
    } finally {
      closeSync(secret)
      host.kill("SIGKILL")
      rmSync(folder, { recursive: true })
    }
  })

  it("end with a host that is killed, whatever the code does", { timeout: 90_000 }, async () => {
    const host = startHost(namespaces, "sum(range(10**12))")
    await once(host.stdout!, "data")
    const started = descendants(host.pid!)
    expect(started.length).toBeGreaterThan(0)
    host.kill("SIGKILL")
    const alive = () => started.filter((pid) => existsSync(`/proc/${pid}/environ`) && !isZombie(pid))
    await expect.poll(alive, { timeout: 60_000, interval: 50 }).toEqual([])
  })
})

it("are required where that is asked for: all of them, or no sandbox", async () => {
  await using sandbox = pythonSandbox({ namespaces: "required", spares: 0 })
  const outcome = await sandbox.run("6 * 7").catch((error: unknown) => error)
  if (sandbox.walls === "namespaces") expect(outcome).toMatchObject({ result: "42" })
  else expect(outcome).toMatchObject({ _tag: "SandboxError", reason: "no-namespaces" })
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
