// The peer behind the same operations.
import { pathToFileURL } from "node:url"

export async function open({ file, threads, longest, peer }) {
  const { getLlama, LlamaLogLevel } = await import(
    pathToFileURL(`${peer}/node_modules/node-llama-cpp/dist/index.js`).href
  )
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    logLevel: LlamaLogLevel.error,
    maxThreads: 0,
  })
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0, useMmap: true, checkTensors: false })
  const context = await model.createContext({
    contextSize: longest,
    batchSize: 512,
    threads: { ideal: threads, min: threads },
    sequences: 2,
    flashAttention: true,
  })
  const short = context.getSequence()
  const long = context.getSequence()
  const held = new Map() // sequence -> the tokens it was filled with
  return {
    device: "cpu",
    async prefill(tokens) {
      await short.clearHistory()
      held.delete(short)
      await short.evaluateWithoutGeneratingNewTokens(tokens)
    },
    async decode(tokens, steps, start) {
      const sequence = tokens.length > 1024 ? long : short
      if (held.get(sequence) !== tokens.join()) {
        await sequence.clearHistory()
        await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(0, -1))
        held.set(sequence, tokens.join())
      } else {
        await sequence.eraseContextTokenRanges([{ start: tokens.length - 1, end: sequence.nextTokenIndex }])
      }
      let seen = 0
      for await (const _ of sequence.evaluate(tokens.slice(-1), { temperature: 0, yieldEogToken: true })) {
        seen++
        if (seen === 1) start(1)
        if (seen > steps) break
      }
      return seen
    },
  }
}
