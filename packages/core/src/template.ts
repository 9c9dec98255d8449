/**
 * A checkpoint's own chat template: variables in, prompt parts out, for any model. A template is a program from a stranger:
 * it runs in a worker thread with a deadline and a memory limit, and sees nothing but its variables.
 *
 * Covered: endless loops, memory, output without end, special tokens inside the caller's values, in pieces at their edges too.
 * Not covered: a template that cuts one value apart and joins the pieces so that a special token comes out.
 */
import { Worker } from "node:worker_threads"
import { PromptError, TemplateError } from "./error.ts"
import { excerpt } from "./prompt-check.ts"
import type { PromptPart } from "./prompt-part.ts"
import { type SpecialToken, specialTokens } from "./special-tokens.ts"
import { createShield } from "./template-shield.ts"

/** What templates are rendered with, and what they may take. */
export interface ChatTemplateOptions {
  /** Literals that become special tokens where the template itself writes them; default: those of Llama 3.x. */
  readonly specialTokens?: Iterable<SpecialToken>
  /** Variables of every render, such as `bos_token` and `eos_token`; default `bos_token`: begin-of-text. */
  readonly variables?: Readonly<Record<string, unknown>>
  /** For one render, its start-up aside; default 2,000. */
  readonly timeoutMs?: number
  /** Heap of the worker in MiB; default 64. */
  readonly memoryMb?: number
  /** What `strftime_now` tells; without it the function is not defined, as templates expect. */
  readonly now?: Date
}

/** A compiled template in its worker. */
export interface ChatTemplate {
  /** Throws PromptError for values that no prompt may hold, TemplateError for what the template does wrong. */
  render(variables: Readonly<Record<string, unknown>>): Promise<TemplatePrompt>
  /** Ends the worker. A later render starts a new one. */
  close(): Promise<void>
}

/** What a template rendered. */
export interface TemplatePrompt {
  readonly parts: readonly PromptPart[]
  /** What wrote the parts, for whoever looks at them. */
  readonly renderer: "template"
}

export interface TemplateTask {
  readonly source: string
  readonly variables: Readonly<Record<string, unknown>>
  readonly now: Date | undefined
}

export type TemplateAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "rendered"; readonly text: string }
  | { readonly kind: "failed"; readonly reason: "syntax" | "raised"; readonly message: string }

const MAX_SOURCE_LENGTH = 1 << 20
const MAX_PROMPT_LENGTH = 1 << 24
const START_TIMEOUT_MS = 20_000

/** The worker starts with the first render and stays for the next; it does not keep the process alive. */
export function openTemplate(source: string, options: ChatTemplateOptions = {}): ChatTemplate {
  if (source.length > MAX_SOURCE_LENGTH) {
    throw tooLarge(`The chat template has ${source.length} characters, at most ${MAX_SOURCE_LENGTH}.`)
  }
  const shield = createShield(options.specialTokens ?? Object.values(specialTokens))
  const fixed = options.variables ?? { bos_token: specialTokens.beginOfText }
  let worker: Promise<Worker> | undefined
  let last: Promise<unknown> = Promise.resolve()

  const run = async (variables: Readonly<Record<string, unknown>>): Promise<TemplatePrompt> => {
    checkVariables(variables)
    const shielded = shield.cover(variables, source)
    worker ??= startWorker(options.memoryMb ?? 64)
    try {
      const task: TemplateTask = { source, variables: { ...shielded.values, ...fixed }, now: options.now }
      const text = await askWorker(await worker, task, options.timeoutMs ?? 2_000)
      return { parts: shielded.split(text), renderer: "template" }
    } catch (error) {
      // After a timeout or a crash the worker is of no more use.
      if (error instanceof TemplateError && error.reason !== "timeout" && error.reason !== "too-large") throw error
      const ended = worker
      worker = undefined
      await ended?.then((thread) => thread.terminate()).catch(() => undefined)
      throw error
    }
  }
  return {
    render(variables) {
      const rendered = last.then(() => run(variables))
      last = rendered.catch(() => undefined)
      return rendered
    },
    async close() {
      await last
      await worker?.then((thread) => thread.terminate()).catch(() => undefined)
      worker = undefined
    },
  }
}

/** A role is written into headers: one with anything but letters could forge them in spite of all encoding. */
function checkVariables(variables: unknown): void {
  if (typeof variables !== "object" || variables === null || Array.isArray(variables)) {
    throw new PromptError({
      reason: "bad-request",
      detail: `The variables of the template are ${excerpt(variables)}.`,
      fix: "Pass an object such as { messages: [] }.",
    })
  }
  const { messages } = variables as { readonly messages?: unknown }
  if (!Array.isArray(messages)) return
  for (const [index, message] of messages.entries()) {
    const role: unknown = message?.role
    if (typeof role === "string" && /^[A-Za-z_]{1,32}$/.test(role)) continue
    throw new PromptError({
      reason: "unknown-role",
      detail: `messages[${index}] has the role ${excerpt(role)}.`,
      fix: "Use a role of the template, such as system, user, assistant or tool.",
    })
  }
}

function startWorker(memoryMb: number): Promise<Worker> {
  // The compiled file stands beside this one as .js, in a source checkout as .ts.
  const file = import.meta.url.endsWith(".ts") ? "./template-worker.ts" : "./template-worker.js"
  const worker = new Worker(new URL(file, import.meta.url), {
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: 16, stackSizeMb: 2 },
  })
  // A worker that dies between two renders is found out by the next one.
  worker.on("error", () => undefined)
  worker.unref()
  return answerOf(worker, START_TIMEOUT_MS).then(() => worker)
}

async function askWorker(worker: Worker, task: TemplateTask, timeoutMs: number): Promise<string> {
  worker.postMessage(task)
  const answer = await answerOf(worker, timeoutMs)
  if (answer.kind === "failed") {
    throw new TemplateError({
      reason: answer.reason,
      detail:
        answer.reason === "syntax"
          ? `The chat template cannot be read: ${answer.message}.`
          : `The chat template failed on these messages: ${answer.message}.`,
      fix:
        answer.reason === "syntax"
          ? "Use the template that came with the checkpoint, unchanged."
          : "Change the conversation as the template asks, or render with a built-in layout.",
    })
  }
  const text = answer.kind === "rendered" ? answer.text : ""
  if (text.length > MAX_PROMPT_LENGTH) {
    throw tooLarge(`The chat template wrote ${text.length} characters, at most ${MAX_PROMPT_LENGTH}.`)
  }
  return text
}

/** The next message of the worker, or the reason why none comes. */
function answerOf(worker: Worker, timeoutMs: number): Promise<TemplateAnswer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      settle(() =>
        reject(
          new TemplateError({
            reason: "timeout",
            detail: `The chat template did not end within ${timeoutMs} ms.`,
            fix: "Use a simpler template, or allow it more time (timeoutMs).",
          }),
        ),
      )
    }, timeoutMs)
    const onMessage = (answer: TemplateAnswer): void => settle(() => resolve(answer))
    const onError = (error: Error & { code?: string }): void =>
      settle(() =>
        reject(
          error.code === "ERR_WORKER_OUT_OF_MEMORY"
            ? tooLarge("The chat template needs more memory than it may have.")
            : tooLarge(`The chat template ended its worker: ${error.message}.`),
        ),
      )
    const onExit = (code: number): void =>
      settle(() => reject(tooLarge(`The chat template ended its worker with code ${code}.`)))
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      worker.off("message", onMessage).off("error", onError).off("exit", onExit)
      act()
    }
    worker.on("message", onMessage).on("error", onError).on("exit", onExit)
  })
}

function tooLarge(detail: string): TemplateError {
  return new TemplateError({ reason: "too-large", detail, fix: "Use a smaller template or a shorter conversation." })
}
