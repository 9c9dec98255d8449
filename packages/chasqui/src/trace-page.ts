/**
 * A trace as one HTML page that needs nothing else: the timeline of each run, tokens and their cached part, calls and results,
 * and what each step added to the prompt, special tokens visible. The page has no script and loads nothing; what models and
 * tools wrote is shown as text, whatever it says.
 */
import { createHash } from "node:crypto"
import {
  type AgentEvent,
  continuePrompt,
  forkTrace,
  type PromptPart,
  promptStart,
  type StepEnd,
  type ToolResult,
  type Trace,
  type TraceEvent,
  type Turn,
} from "@chasqui/core"
import { visible } from "./command/terminal.ts"

/** The whole page. Its policy allows its own style sheet, by hash, and nothing else. */
export function tracePage(trace: Trace): string {
  const { header } = trace
  const runs = runsOf(trace)
  const policy = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; base-uri 'none'; form-action 'none'`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width">
<title>${escaped(header.sessionId)} · chasqui trace</title>
<style>${style}</style>
</head>
<body>
<header><h1>${escaped(header.sessionId)}</h1>
<p>${escaped(header.model)} · ${runs.length} ${runs.length === 1 ? "run" : "runs"} · weights ${escaped(header.fingerprint)}</p></header>
${runs.map((run, index) => runSection(trace, run, index)).join("\n")}
</body>
</html>
`
}

interface Run {
  readonly input: string | undefined
  readonly steps: readonly Step[]
  readonly startMs: number | undefined
  readonly end: Extract<TraceEvent, { type: "run-end" }> | undefined
  /** What happened to the run beside its steps. */
  readonly notes: readonly string[]
}

interface Step {
  readonly number: number
  readonly startMs: number | undefined
  readonly end: (StepEnd & { readonly atMs?: number }) | undefined
  readonly results: readonly (ToolResult & { readonly atMs?: number })[]
  /** What sub-agents did meanwhile, by the call that ran them. */
  readonly nested: ReadonlyMap<string, readonly string[]>
}

/** Runs and their steps, in order; a run that was cut off has no end. */
function runsOf({ events }: Trace): readonly Run[] {
  const runs: { -readonly [Key in keyof Run]: Run[Key] }[] = []
  let results: Step["results"][number][] = []
  let nested = new Map<string, string[]>()
  for (const event of events) {
    const run = runs.at(-1)
    if (event.type === "run-start") {
      runs.push({ input: event.input, steps: [], startMs: event.atMs, end: undefined, notes: [] })
      results = []
      nested = new Map()
    } else if (event.type === "step-start" && run !== undefined) {
      results = []
      nested = new Map()
      run.steps = [...run.steps, { number: event.step, startMs: event.atMs, end: undefined, results, nested }]
    } else if (event.type === "nested-event") {
      const line = noteOf(event.event)
      if (line !== undefined) nested.set(event.callId, [...(nested.get(event.callId) ?? []), line])
    } else if (event.type === "tool-result") results.push(event)
    else if (event.type === "step-end" && run !== undefined) {
      run.steps = run.steps.map((step) => (step.number === event.step ? { ...step, end: event } : step))
    } else if (event.type === "run-end" && run !== undefined) run.end = event
    else if (run !== undefined && event.type !== "tool-call-end") {
      const note = noteOf(event)
      if (note !== undefined) run.notes = [...run.notes, note]
    }
  }
  return runs
}

/** One line about an event that has no block of its own. */
function noteOf(event: AgentEvent): string | undefined {
  switch (event.type) {
    case "guard-stop":
      return `forbidden by a guard (${event.stage}): ${event.reason}`
    case "transcript-replaced":
      return `${event.reason}, ${event.by}: ${event.lostTokens} tokens had to be read again`
    case "output-invalid":
      return `the answer did not fit: ${event.problem}`
    case "run-failed":
      return `failed: ${event.message}`
    case "tool-call-end":
      return `→ ${event.call.name} ${JSON.stringify(event.call.input)}`
    case "tool-result":
      return `← ${typeof event.output === "string" ? event.output : JSON.stringify(event.output)}`
    case "run-end":
      return `${event.stopReason}: ${event.text}`
    default:
      return undefined
  }
}

function runSection(trace: Trace, run: Run, index: number): string {
  const { end } = run
  const sums = end
    ? `<p class="sums">${escaped(end.stopReason)} · ${end.usage.prompt} tokens read, ${end.usage.cached} of them cached · ${end.usage.generated} written</p>`
    : `<p class="sums bad">cut off</p>`
  return `<section class="run"><h2>Run ${index + 1}</h2>
${run.input === undefined ? "<p>resumed</p>" : `<p class="user">${escaped(run.input)}</p>`}
${timeline(run)}
${run.steps.map((step) => stepSection(trace, index, step)).join("\n")}
${run.notes.map((note) => `<p class="bad">${escaped(note)}</p>`).join("\n")}
${end && end.text !== "" ? `<p class="answer">${escaped(end.text)}</p>` : ""}
${sums}</section>`
}

function stepSection(trace: Trace, run: number, step: Step): string {
  const { end } = step
  if (end === undefined) return `<article><h3>Step ${step.number}</h3><p class="bad">cut off</p></article>`
  const { turn, usage } = end
  const share = usage.prompt === 0 ? 0 : Math.round((100 * usage.cached) / usage.prompt)
  return `<article><h3>Step ${step.number}</h3>
<p class="sums">${usage.prompt} tokens read, ${usage.cached} cached (${share} %) · ${usage.generated} written · ended by ${escaped(turn.end)}</p>
<svg class="tokens" viewBox="0 0 100 2" preserveAspectRatio="none" role="img" aria-label="cached part of the prompt"><rect class="new" width="100" height="2"/><rect class="cached" width="${share}" height="2"/></svg>
${turn.content === "" ? "" : `<p class="prose">${escaped(turn.content)}</p>`}
${turn.toolCalls.map(({ id, name, input }) => `<p class="call"><b>${escaped(name)}</b> ${escaped(id)}</p><pre>${escaped(JSON.stringify(input, null, 2))}</pre>`).join("\n")}
${(turn.unreadCalls ?? []).map(({ id, raw }) => `<p class="call bad">unreadable ${escaped(id)}</p><pre>${escaped(raw)}</pre>`).join("\n")}
${[...step.nested].map(nestedBlock).join("\n")}
${step.results.map(resultBlock).join("\n")}
<details><summary>what this step added to the prompt</summary><pre class="prompt">${newPrompt(trace, run, step.number).map(partHtml).join("")}</pre></details>
</article>`
}

function nestedBlock([callId, lines]: readonly [string, readonly string[]]): string {
  return `<details><summary>what ${escaped(callId)} did</summary><pre>${lines.map(escaped).join("\n")}</pre></details>`
}

function resultBlock({ callId, name, output, isError, durationMs, cause }: ToolResult): string {
  const text = typeof output === "string" ? output : JSON.stringify(output, null, 2)
  return `<p class="result${isError ? " bad" : ""}">${escaped(name)} ${escaped(callId)} · ${Math.round(durationMs)} ms${cause === undefined ? "" : ` · ${escaped(cause)}`}</p><pre>${escaped(text)}</pre>`
}

/** A bar per step and per tool call, to scale, where the trace has times. */
function timeline(run: Run): string {
  const start = run.startMs
  const last = run.end?.atMs ?? run.steps.at(-1)?.end?.atMs
  if (start === undefined || last === undefined || last <= start) return ""
  const x = (atMs: number) => (((atMs - start) / (last - start)) * 100).toFixed(2)
  const width = (fromMs: number, toMs: number) => Math.max(0.2, ((toMs - fromMs) / (last - start)) * 100).toFixed(2)
  const bars = run.steps.flatMap((step) => [
    ...(step.startMs !== undefined && step.end?.atMs !== undefined
      ? [`<rect class="step" x="${x(step.startMs)}" y="0" width="${width(step.startMs, step.end.atMs)}" height="4"/>`]
      : []),
    ...step.results.flatMap(({ atMs, durationMs }) =>
      atMs === undefined
        ? []
        : [
            `<rect class="tool" x="${x(atMs - durationMs)}" y="5" width="${width(atMs - durationMs, atMs)}" height="4"/>`,
          ],
    ),
  ])
  return `<svg class="timeline" viewBox="0 0 100 9" preserveAspectRatio="none" role="img" aria-label="timeline">${bars.join("")}</svg><p class="sums">${Math.round(last - start)} ms; above: steps, below: tool calls</p>`
}

/** The parts of the prompt that a step saw and the step before it did not. A written turn is shown from its fields. */
function newPrompt(trace: Trace, run: number, step: number): readonly PromptPart[] {
  const shown = (turns: readonly Turn[]) =>
    turns.map((turn) => (turn.role === "assistant" ? withoutTokens(turn) : turn))
  const { options, turns } = forkTrace(trace, trace.header.fingerprint, { run, step })
  const before = step > 0 || run > 0 ? previousTurns(trace, run, step) : 0
  const from = before === 0 ? promptStart : { turns: before, headerOpen: false }
  const next = continuePrompt({ options, turns: shown(turns) }, from, { addGenerationPrompt: true })
  if (next.kind === "append") return next.parts
  // Another conversation than before: a handoff, or a shorter one. All of it is new.
  const whole = continuePrompt({ options, turns: shown(turns) }, promptStart, { addGenerationPrompt: true })
  return whole.kind === "append" ? whole.parts : []
}

/** How many turns the step before saw; its own answer is new then. */
function previousTurns(trace: Trace, run: number, step: number): number {
  if (step > 0) return forkTrace(trace, trace.header.fingerprint, { run, step: step - 1 }).turns.length
  return forkTrace(trace, trace.header.fingerprint, { run: run - 1 }).turns.length
}

function withoutTokens<T extends object>(turn: T): T {
  const { tokens: _, ...fields } = turn as T & { tokens?: unknown }
  return fields as T
}

function partHtml(part: PromptPart): string {
  if ("special" in part) return `<i>${escaped(part.special)}</i>`
  return "text" in part ? escaped(part.text) : ""
}

function escaped(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const style = `
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem}h3{font-size:1rem;margin:0}
.run{border-top:2px solid #222;margin-top:2rem}article{border-left:3px solid #ccc;margin:1rem 0;padding-left:1rem}
.user,.answer{font-size:1.1rem;white-space:pre-wrap}.answer{font-weight:600}.prose{white-space:pre-wrap}
.sums{color:#666;font-size:.85rem;margin:.3rem 0}.bad{color:#b00020}.call{color:#00639b;margin:.6rem 0 0}.result{color:#2e6b2e;margin:.6rem 0 0}
.result.bad{color:#b00020}
pre{background:#f5f5f5;border-radius:4px;margin:.2rem 0;overflow-x:auto;padding:.5rem;white-space:pre-wrap;word-break:break-word}
.prompt i{background:#dfe8ff;border-radius:3px;color:#123b8f;font-style:normal;padding:0 .2em}
svg{display:block;width:100%}.timeline{height:2.2rem}.tokens{height:.4rem;max-width:20rem}
.step{fill:#7aa7d9}.tool{fill:#7fbf7f}.new{fill:#e2e2e2}.cached{fill:#7aa7d9}
@media (prefers-color-scheme:dark){body{background:#161616;color:#ddd}pre{background:#222}.run{border-color:#ddd}.prompt i{background:#25365f;color:#bcd}
.call{color:#7cc4f5}.result{color:#8fce8f}.bad,.result.bad{color:#ff8a8a}.sums{color:#999}}
`
