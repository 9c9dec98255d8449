// One engine in a process of its own. Messages in: { op, ... }; messages out: { tokens, seconds, cpuSeconds }.
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

let seed = 12345
const tokens = (count) =>
  Array.from({ length: count }, () => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return 300 + (seed % 100000)
  })

const contexts = new Map() // length -> tokens, the same in every round
let engine

const operations = {
  async open(options) {
    const { open } = await import(`./${options.engine}.mjs`)
    engine = await open(options)
    return { device: engine.device }
  },
  async prefill({ length }) {
    const prompt = tokens(length)
    const wall = performance.now()
    const cpu = cpuSeconds()
    await engine.prefill(prompt)
    return { tokens: length, seconds: (performance.now() - wall) / 1000, cpuSeconds: cpuSeconds() - cpu }
  },
  async decode({ context, steps }) {
    if (!contexts.has(context)) contexts.set(context, tokens(context))
    let wall = 0
    let cpu = 0
    let before = 0
    const seen = await engine.decode(contexts.get(context), steps, (first) => {
      wall = performance.now()
      cpu = cpuSeconds()
      before = first
    })
    return { tokens: seen - before, seconds: (performance.now() - wall) / 1000, cpuSeconds: cpuSeconds() - cpu }
  },
}

process.on("message", async ({ op, ...options }) => {
  try {
    process.send(await operations[op](options))
  } catch (error) {
    process.send({ failed: String(error?.stack ?? error) })
  }
})
