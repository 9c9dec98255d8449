/**
 * An outcome goes in, the text that the model was trained to read comes out: a status line, then the streams that are not empty, each
 * between marks on lines of their own. Source of the form: the code executor of Meta's llama-agentic-system.
 */
import type { Stream } from "./protocol.ts"
import type { PythonOutcome } from "./sandbox.ts"

/** `textCharacters` is the most that is shown of each stream; the middle of longer text is left out. */
export function executorText(outcome: PythonOutcome, textCharacters: number): string {
  const { status, stdout, result, truncated } = outcome
  const shown = result === null ? "" : `${stdout === "" || stdout.endsWith("\n") ? "" : "\n"}${result}\n`
  const lines: string[] = [status === "died" ? "error" : status]
  const dropped = (stream: Stream) => (truncated.includes(stream) ? "\n[the rest was dropped: too much output]\n" : "")
  const blocks = { stdout: stdout + dropped("stdout") + shown, stderr: stderrText(outcome) + dropped("stderr") }
  for (const [name, text] of Object.entries(blocks))
    if (text !== "") lines.push(`[${name}]`, shorten(text, textCharacters), `[/${name}]`)
  return lines.join("\n")
}

function stderrText({ status, stderr, error, restarted }: PythonOutcome): string {
  const notes = [stderr]
  if (restarted) notes.unshift("Python was restarted before this call: earlier variables and files are gone.\n")
  if (status === "timeout") notes.push("TimeoutError: the code took too long and was stopped. Variables are kept.\n")
  if (status === "error") notes.push(error?.traceback ?? "")
  if (status === "died")
    notes.push(`Python had to be stopped: ${error?.message ?? "unknown cause"}. All variables and files are gone.\n`)
  return notes.join("")
}

/** Leaves out the middle: the beginning says what the text is, the end how it came out. */
function shorten(text: string, most: number): string {
  if (text.length <= most) return text
  const half = Math.floor(most / 2)
  return `${text.slice(0, half)}\n[… ${text.length - 2 * half} characters left out …]\n${text.slice(-half)}`
}
