/** The limits of a sandbox, with their units and defaults. Plain data: it crosses to the jailed process as it is. */
import { SandboxError } from "./sandbox-error.ts"

/** What code may take; `defaultLimits` has the defaults. */
export interface SandboxLimits {
  /** Wall time of one call, in milliseconds. Then KeyboardInterrupt is raised; what the code made stays. */
  readonly timeoutMs: number
  /** How long after that the code may take to come to an end before its interpreter is thrown away, in milliseconds. */
  readonly graceMs: number
  /** The interpreter's memory, in MiB; beyond it Python raises MemoryError. At least 32. */
  readonly memoryMb: number
  /** JavaScript heap of the isolate with the files in memory, in MiB; beyond it the sandbox dies. At least 96. */
  readonly heapMb: number
  /** What one call may print, in bytes of UTF-8, for stdout and stderr each. The rest is dropped and the outcome says so. */
  readonly outputBytes: number
  /** Characters of the last expression and of a traceback, each. */
  readonly resultCharacters: number
  /** Files in memory, everything together, in bytes; beyond it OSError "No space left on device". */
  readonly storageBytes: number
  /** Files, folders and links together. */
  readonly storageEntries: number
  /** Bytes of files that one call may give back as artifacts. */
  readonly artifactBytes: number
  readonly artifactCount: number
}

export const defaultLimits: SandboxLimits = {
  timeoutMs: 30_000,
  graceMs: 1_000,
  memoryMb: 256,
  heapMb: 192,
  outputBytes: 65_536,
  resultCharacters: 20_000,
  storageBytes: 64 * 1024 * 1024,
  storageEntries: 10_000,
  artifactBytes: 16 * 1024 * 1024,
  artifactCount: 64,
}

const ranges: { readonly [Name in keyof SandboxLimits]: readonly [least: number, most: number] } = {
  timeoutMs: [1, 86_400_000],
  graceMs: [50, 60_000],
  memoryMb: [32, 4096],
  heapMb: [96, 4096],
  outputBytes: [0, 16 * 1024 * 1024],
  resultCharacters: [100, 1024 * 1024],
  storageBytes: [0, 1024 * 1024 * 1024],
  storageEntries: [0, 1_000_000],
  artifactBytes: [0, 64 * 1024 * 1024],
  artifactCount: [0, 1000],
}

/** Defaults for what is absent; SandboxError "bad-options" for what is no whole number within its range. */
export function checkLimits(limits: Partial<SandboxLimits>): SandboxLimits {
  for (const [name, value] of Object.entries(limits)) {
    const range = ranges[name as keyof SandboxLimits] as readonly [number, number] | undefined
    if (value === undefined || (range && Number.isInteger(value) && value >= range[0] && value <= range[1])) continue
    throw new SandboxError({
      reason: "bad-options",
      detail: range
        ? `The sandbox limit ${name} is ${String(value)}.`
        : `The sandbox has no limit called ${JSON.stringify(name)}.`,
      fix: range
        ? `Give a whole number from ${range[0]} to ${range[1]}.`
        : `Its limits are ${Object.keys(ranges).join(", ")}.`,
    })
  }
  const given = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))
  return { ...defaultLimits, ...given }
}
