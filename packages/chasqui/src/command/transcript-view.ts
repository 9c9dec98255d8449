/** Shows a run to a person while it happens: prose as it streams, each call with its input, result and time, then the sums. */
import type { AgentEvent, JsonValue, StepEnd, ToolCall, ToolResult, Usage } from "@chasqui/core"
import { type Terminal, visible } from "./terminal.ts"

/** Most characters of one result that are shown. */
const mostShown = 600

/** A listener for the events of one run. */
export function transcriptView({ out, style }: Terminal): (event: AgentEvent) => void {
  const steps: StepEnd[] = []
  let newline = true
  const line = (text: string): void => {
    out(`${newline ? "" : "\n"}${text}\n`)
    newline = true
  }
  return (event) => {
    switch (event.type) {
      case "text-delta":
        if (event.delta === "") return
        out(visible(event.delta))
        newline = event.delta.endsWith("\n")
        return
      case "tool-call-end":
        return line(style.call(`→ ${shownCall(event.call)}`))
      case "tool-call-invalid":
        return line(style.bad(`→ unreadable call: ${visible(event.problem)}`))
      case "tool-result":
        return line(shownResult(event, style.bad))
      case "step-end":
        steps.push(event)
        return
      case "guard-stop":
        return line(style.bad(`forbidden by a guard (${event.stage}): ${visible(event.reason)}`))
      case "transcript-replaced":
        return line(
          style.dim(`${visible(event.by)} (${event.reason}): ${event.lostTokens} tokens have to be read again`),
        )
      case "run-failed":
        return line(style.bad(`failed: ${visible(event.message)}`))
      case "run-end":
        if (!newline) line("")
        if (event.stopReason !== "end-of-turn") line(style.bad(`stopped: ${event.stopReason}`))
        return line(style.dim(sums(event.usage, steps)))
    }
  }
}

function shownCall(call: ToolCall): string {
  const { code } = call.input
  if (call.name === "code_interpreter" && typeof code === "string") return `${call.name}\n${indented(visible(code))}`
  return `${visible(call.name)} ${visible(JSON.stringify(call.input))}`
}

function shownResult(result: ToolResult, bad: (text: string) => string): string {
  const text = shortened(visible(asText(result.output)))
  const time = `${Math.round(result.durationMs)} ms`
  const shown = text.includes("\n") ? `${time}\n${indented(text)}` : `${text}  (${time})`
  return result.isError ? bad(`← ${shown}`) : `← ${shown}`
}

function asText(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}

function shortened(text: string): string {
  return text.length <= mostShown ? text : `${text.slice(0, mostShown)}… (${text.length} characters)`
}

function indented(text: string): string {
  return text
    .trimEnd()
    .split("\n")
    .map((row) => `    ${row}`)
    .join("\n")
}

/** `3 steps · 1,203 tokens read (1,020 cached) · 75 written · 640 tokens/s` */
function sums(usage: Usage, steps: readonly StepEnd[]): string {
  const count = (value: number) => value.toLocaleString("en-US")
  const decodeMs = steps.reduce((sum, step) => sum + (step.timing?.decodeMs ?? 0), 0)
  const rate = decodeMs > 0 ? [`${count(Math.round((usage.generated * 1000) / decodeMs))} tokens/s`] : []
  return [
    steps.length === 1 ? "1 step" : `${steps.length} steps`,
    `${count(usage.prompt)} tokens read (${count(usage.cached)} cached)`,
    `${count(usage.generated)} written`,
    ...rate,
  ].join(" · ")
}
