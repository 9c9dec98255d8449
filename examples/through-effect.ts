/**
 * Runs an example through the Effect entry without a word of it changed: what it imports as `agent` from chasqui is then made of
 * layers, run as an Effect and streamed as a Stream.
 *
 *   node --import ./examples/through-effect.ts examples/hello/main.ts
 */
import { registerHooks } from "node:module"

const adapter = new URL("effect-agent.ts", import.meta.url).href
const here = new URL(".", import.meta.url).href

registerHooks({
  resolve(specifier, context, next) {
    const from = context.parentURL ?? ""
    const isExample = from.startsWith(here) && !from.includes("/node_modules/") && from !== adapter
    return specifier === "chasqui" && isExample ? { url: adapter, shortCircuit: true } : next(specifier, context)
  },
})
