/**
 * The worker that runs chat templates: a task comes in, the rendered text or the reason of a failure goes out.
 * It has no file, no network and no environment to offer; a template cannot name anything but its variables.
 */

import { parentPort } from "node:worker_threads"
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja"
import type { TemplateAnswer, TemplateTask } from "./template.ts"
import { definePythonFunctions, type Program, writeAsPython } from "./template-python.ts"

let parsed: { readonly source: string; readonly program: Program } | undefined

function render({ source, variables, now }: TemplateTask): TemplateAnswer {
  if (parsed?.source !== source) {
    try {
      parsed = { source, program: writeAsPython(parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }))) }
    } catch (error) {
      return { kind: "failed", reason: "syntax", message: messageOf(error) }
    }
  }
  try {
    const environment = new Environment()
    definePythonFunctions(environment, now)
    for (const [name, value] of Object.entries(variables)) {
      if (value !== undefined) environment.set(name, value)
    }
    return { kind: "rendered", text: String(new Interpreter(environment).run(parsed.program).value) }
  } catch (error) {
    return { kind: "failed", reason: "raised", message: messageOf(error) }
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 500).replace(/\.$/, "")
}

parentPort?.on("message", (task: TemplateTask) => parentPort?.postMessage(render(task)))
parentPort?.postMessage({ kind: "ready" } satisfies TemplateAnswer)
