/**
 * What the engine is doing and has done, as a plain object. Counters start at load and only grow.
 */
export interface EngineMetrics {
  readonly queue: { readonly requests: number; readonly tokens: number }
  /** Sequences under computation, and those whose consumer lags. */
  readonly running: number
  readonly parked: number
  /** The last pass through the model. */
  readonly batch: { readonly sequences: number; readonly tokens: number }
  /** Pages of 16 tokens: held by requests or retained, held by the prefix cache alone, free. */
  readonly pages: { readonly used: number; readonly cached: number; readonly free: number }
  readonly prefixCache: {
    readonly promptTokens: number
    readonly cachedTokens: number
    /** cachedTokens / promptTokens, 0 before the first request. */
    readonly hitRate: number
    readonly evictedPages: number
    /** Ended requests whose pages are held, and how many such holds were given up for want of pages. */
    readonly retained: number
    readonly retainedDropped: number
  }
  readonly prefill: { readonly tokens: number; readonly seconds: number; readonly tokensPerSecond: number }
  readonly decode: { readonly tokens: number; readonly seconds: number; readonly tokensPerSecond: number }
  /** From the call to the first token. */
  readonly firstToken: { readonly requests: number; readonly meanMs: number; readonly lastMs: number }
  readonly requests: { readonly ended: number; readonly preempted: number }
  readonly steps: number
}

const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0)

/** From the binding's flat numbers. */
export const engineMetrics = (native: Record<string, number>): EngineMetrics => {
  const of = (name: string): number => native[name] ?? 0
  const rate = (tokens: number, seconds: number) => ({ tokens, seconds, tokensPerSecond: ratio(tokens, seconds) })
  return {
    queue: { requests: of("waiting"), tokens: of("waitingTokens") },
    running: of("running"),
    parked: of("parked"),
    batch: { sequences: of("batch"), tokens: of("batchTokens") },
    pages: { used: of("pagesUsed"), cached: of("pagesCached"), free: of("pagesFree") },
    prefixCache: {
      promptTokens: of("promptTokens"),
      cachedTokens: of("cachedTokens"),
      hitRate: ratio(of("cachedTokens"), of("promptTokens")),
      evictedPages: of("evicted"),
      retained: of("retained"),
      retainedDropped: of("retainedDropped"),
    },
    prefill: rate(of("prefillTokens"), of("prefillSeconds")),
    decode: rate(of("decodeTokens"), of("decodeSeconds")),
    firstToken: {
      requests: of("firstTokens"),
      meanMs: ratio(of("firstTokenSeconds") * 1000, of("firstTokens")),
      lastMs: of("lastFirstTokenMs"),
    },
    requests: { ended: of("requestsEnded"), preempted: of("preempted") },
    steps: of("steps"),
  }
}
