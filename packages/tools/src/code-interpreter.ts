/**
 * `code_interpreter`, the built-in Python tool of Llama 3.1: code goes in, the text that the model was trained to read comes out.
 * How the code is held is the sandbox's matter.
 */
import { defineTool, type Tool } from "@chasqui/core"
import type { Artifact } from "./python/artifact.ts"
import { executorText } from "./python/executor-text.ts"
import type { Stream } from "./python/protocol.ts"
import { type PythonSandbox, pythonSandbox, type SandboxOptions } from "./python/sandbox.ts"

/** The sandbox's options, and what the host wants to see of a call. */
export interface CodeInterpreterOptions extends SandboxOptions {
  /** A sandbox to share; closing the tool then leaves it open. Default: one of the tool's own, made from these options. */
  readonly sandbox?: PythonSandbox
  /** When the sandbox's process starts: with the first call (the default) or at once, while the model loads. */
  readonly start?: "first-call" | "now"
  /** What code prints, while it runs. */
  readonly onOutput?: (call: { sessionId: string; callId: string; stream: Stream; text: string }) => void
  /** Files that code wrote into its working folder. */
  readonly onArtifacts?: (call: { sessionId: string; callId: string; artifacts: readonly Artifact[] }) => void
  /** The most characters that the model gets to read of each stream; the middle of longer text is left out. Default 12,000. */
  readonly textCharacters?: number
}

/** The Python tool. State is kept between the calls of a session. */
export function codeInterpreter(options: CodeInterpreterOptions = {}): Tool<"code_interpreter"> {
  const { sandbox: given, onOutput, onArtifacts, textCharacters = 12_000 } = options
  const sandbox = given ?? pythonSandbox(options)
  // A failed start is told by the first call, which tries again.
  if (options.start === "now") sandbox.warmUp().catch(() => {})
  return defineTool("code_interpreter", {
    description:
      "Runs Python code and returns what it prints and the value of its last expression. Variables, functions and files stay between calls. " +
      "There is no network; packages beyond the standard library are absent.",
    builtin: true,
    timeoutMs: 120_000,
    input: {
      type: "object",
      properties: { code: { type: "string", description: "The Python code to run." } },
      required: ["code"],
      additionalProperties: false,
    },
    execute: async ({ code }, { sessionId, callId, signal }) => {
      const outcome = await sandbox.run(code, {
        session: sessionId,
        signal,
        ...(onOutput && { onOutput: (stream, text) => onOutput({ sessionId, callId, stream, text }) }),
      })
      if (outcome.artifacts.length > 0) onArtifacts?.({ sessionId, callId, artifacts: outcome.artifacts })
      return executorText(outcome, textCharacters)
    },
    ...(given ? {} : { close: sandbox.close }),
  })
}
