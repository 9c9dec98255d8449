/** What random runs are made of: replies, tools and decisions that a seed names for ever. */
import type { Decision, PendingRun } from "../src/approval.ts"
import type { ScriptedReply } from "../src/testing.ts"
import { defineTool, type Tool, ToolFailed } from "../src/tool.ts"

/** A small generator of our own, so that a seed names a run for ever. */
export function random(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
  return { chance: (share: number) => next() < share, below: (n: number) => Math.floor(next() * n) }
}
export type Random = ReturnType<typeof random>

export const approvalKey = "a secret of 32 bytes or so, shared"

export function tools({ chance }: Random, abort: () => void): readonly Tool[] {
  const input = { type: "object", properties: { n: { type: "number" } }, required: ["n"] } as const
  const work = async (n: number) => {
    if (chance(0.1)) abort()
    if (chance(0.3)) await new Promise((resolve) => setImmediate(resolve))
    if (chance(0.15)) throw new Error("broken")
    if (chance(0.1)) throw new ToolFailed("not possible")
    return n * 2
  }
  return [
    defineTool("double", { description: "d", input, readOnly: true, execute: ({ n }) => work(n) }),
    defineTool("write", { description: "w", input, sequential: true, execute: ({ n }) => work(n) }),
    defineTool("pay", { description: "p", input, needsApproval: ({ n }) => n > 3, execute: ({ n }) => work(n) }),
  ]
}

export function* script({ chance, below }: Random): Generator<ScriptedReply> {
  while (true) {
    const names = ["double", "write", "pay", "missing"]
    const calls = Array.from({ length: chance(0.7) ? 1 + below(3) : 0 }, () => ({
      name: names[below(names.length)] as string,
      input: chance(0.9) ? { n: below(8) } : { m: 1 },
    }))
    yield {
      ...(chance(0.5) && { text: `text ${below(100)}` }),
      ...(calls.length > 0 && { calls }),
      ...(chance(0.1) && { invalid: [{ raw: "{", problem: "It ends." }] }),
      ...(chance(0.05) && { end: "length" as const }),
    }
  }
}

export function decide(pending: PendingRun, { chance }: Random): Record<string, Decision> {
  return Object.fromEntries(pending.calls.map(({ id }) => [id, chance(0.5) ? { kind: "approve" } : { kind: "refuse" }]))
}
