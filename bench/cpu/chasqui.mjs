// Our engine behind the few operations that the benchmark asks for; run in a process of its own (worker.mjs).
import { TokenLog } from "@chasqui/core"
import { loadEngine } from "../../packages/engine-cuda/dist/index.js"

const weights = { bf16: "as-stored", q8_0: "int8", q4_0: "int4" }

export async function open({ file, format, threads, longest }) {
  const engine = await loadEngine(file, {
    threads,
    weights: weights[format],
    contextLength: longest,
    cacheBytes: 4 * longest * 32768,
  })
  const start = (tokens, maxTokens, namespace) => {
    const log = new TokenLog()
    log.append(tokens)
    return engine.generate(log, { maxTokens, stopTokens: [], sampling: { temperature: 0 }, cache: { namespace } })
  }
  const count = (batch) => (batch.tokens ?? batch).length
  return {
    device: engine.info.device,
    // Up to the first token: the logits of the last position are among the work.
    async prefill(tokens) {
      for await (const _ of start(tokens, 1, "prefill"));
    },
    // `begun` is called with the number of tokens that are there when the clock starts.
    async decode(tokens, steps, begun) {
      let seen = 0
      for await (const batch of start(tokens, steps + 1, "decode")) {
        if (seen === 0) begun(count(batch))
        seen += count(batch)
      }
      return seen
    },
  }
}
