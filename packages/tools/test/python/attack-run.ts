/** Runs attacks against one sandbox and says whether each was held: its outcome is one that may be, and its neighbours never notice. */
import { expect } from "vitest"
import { isSafePath } from "../../src/python/protocol.ts"
import { type PythonOutcome, type PythonSandbox, pythonSandbox } from "../../src/python/sandbox.ts"
import type { Attack } from "./attacks.ts"

export const attackLimits = {
  timeoutMs: 90_000,
  graceMs: 200,
  memoryMb: 96,
  heapMb: 128,
  outputBytes: 20_000,
  resultCharacters: 2_000,
  storageBytes: 8 * 1024 * 1024,
  storageEntries: 2_000,
  artifactBytes: 1024 * 1024,
}

export interface Range {
  readonly sandbox: PythonSandbox
  readonly attack: (attack: Attack) => Promise<PythonOutcome>
}

export function attackRange(): Range {
  const sandbox = pythonSandbox({ limits: attackLimits, spares: 1, maxSandboxes: 6 })
  let session = 0
  const attack = async (attack: Attack) => {
    await sandbox.run("if 'neighbour' not in globals(): neighbour = 'unharmed'", { session: "neighbour" })
    const name = `attacker-${session}`
    const outcome = await sandbox.run(attack.code, { session: name, timeoutMs: attack.timeoutMs ?? 60_000 })
    if (attack.spoils || outcome.status === "died") {
      // Whatever was spoiled, the next call of the session ends too.
      await sandbox.run("1", { session: name, timeoutMs: 400 })
      sandbox.endSession(`attacker-${session++}`)
    }
    const neighbour = await sandbox.run("neighbour", { session: "neighbour" })
    expect([outcome.error?.message, neighbour.result ?? neighbour.error?.message]).toEqual([
      outcome.error?.message,
      "'unharmed'",
    ])
    check(attack, outcome)
    return outcome
  }
  return { sandbox, attack }
}

function check(attack: Attack, outcome: PythonOutcome): void {
  const text = outcome.error ? `${outcome.status}: ${outcome.error.message}` : outcome.status
  const allowed = attack.ends.map((end) => new RegExp(`^${end}`, "s"))
  expect(allowed.some((pattern) => pattern.test(text)) ? "held" : text.slice(0, 500)).toBe("held")
  if (attack.result !== undefined && outcome.status === "completed") expect(outcome.result).toBe(attack.result)
  const { outputBytes, resultCharacters, artifactBytes } = attackLimits
  expect(Buffer.byteLength(outcome.stdout)).toBeLessThanOrEqual(outputBytes * 3)
  expect((outcome.result ?? "").length).toBeLessThanOrEqual(resultCharacters + 1)
  expect((outcome.error?.traceback ?? "").length).toBeLessThanOrEqual(resultCharacters + 10)
  expect(outcome.artifacts.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)).toBeLessThanOrEqual(artifactBytes)
  for (const { path, type } of outcome.artifacts)
    expect([path, isSafePath(path), typeof type]).toEqual([path, true, "string"])
  expect((outcome.error?.message ?? "").length).toBeLessThanOrEqual(resultCharacters + 10)
  expect(JSON.stringify(outcome)).not.toMatch(/node_modules|\/packages\/tools\//)
}
