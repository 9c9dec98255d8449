/** Tools of ours that a foreign client calls. */
import { setTimeout as pause } from "node:timers/promises"
import { defineTool, type Tool, ToolFailed } from "@chasqui/core"
import { z } from "zod"
import { note } from "./happenings.ts"

export const ourTools: readonly Tool[] = [
  defineTool("unit_price", {
    description: "Price of one item",
    readOnly: true,
    input: {
      type: "object",
      properties: { item: { type: "string" }, currency: { enum: ["EUR", "NOK"], default: "EUR" } },
      required: ["item"],
      additionalProperties: false,
    },
    execute: ({ item, currency }) => ({ item, price: 12.5, currency: currency ?? "none" }),
  }),
  defineTool("shout", {
    description: "Upper case",
    input: z.object({ text: z.string() }),
    execute: ({ text }) => {
      if (process.argv[1]?.endsWith("our-server.ts")) console.log("a line that is no part of the protocol")
      return text.toUpperCase()
    },
  }),
  defineTool("fails", {
    description: "Fails as it should",
    input: { type: "object" },
    execute: () => {
      throw new ToolFailed("there is no such item")
    },
  }),
  defineTool("crashes", {
    description: "Fails as it should not",
    input: { type: "object" },
    execute: () => {
      throw new Error("SECRET detail")
    },
  }),
  defineTool("slow", {
    description: "Takes time",
    input: { type: "object" },
    execute: async (_input, { signal }) => {
      signal.addEventListener("abort", () => note("cancelled"))
      note("started")
      await pause(20_000, undefined, { signal })
      return "done"
    },
  }),
  defineTool("too_slow", {
    description: "Takes too long",
    timeoutMs: 50,
    input: { type: "object" },
    execute: () => pause(20_000, "done", { ref: false }),
  }),
  defineTool("asks", {
    description: "Needs approval",
    needsApproval: true,
    input: { type: "object" },
    execute: () => "must not run",
  }),
]
