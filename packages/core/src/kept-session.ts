/**
 * A session in a store: locked while somebody works on it, its trace written as it happens, and read back by whoever opens it
 * next. A new session is made where the store has none of that name.
 */
import type { Sampling } from "./engine.ts"
import type { Model } from "./model.ts"
import type { Store, StoreLog } from "./store.ts"
import { forkTrace, readTrace, type TraceHeader, traceLine } from "./trace.ts"
import type { Transcript } from "./transcript.ts"

export interface KeptSession {
  readonly session: Transcript
  readonly log: StoreLog
  readonly lock: AsyncDisposable
}

/** Throws SessionError `busy` while another agent has it, and for a trace that cannot be read. */
export async function openSession(
  store: Store,
  name: string,
  model: Model,
  fresh: { readonly session: () => Transcript; readonly sampling: Sampling | undefined },
): Promise<KeptSession> {
  const lock = await store.lock(name)
  try {
    const log = await store.log(name)
    const text = await store.readLog(name)
    if (text?.includes("\n")) {
      return { session: forkTrace(readTrace(text), model.info.fingerprint), log, lock }
    }
    const session = fresh.session()
    log.append(traceLine(traceHeader(session, model, fresh.sampling)))
    return { session, log, lock }
  } catch (error) {
    await lock[Symbol.asyncDispose]()
    throw error
  }
}

export async function closeSession({ log, lock }: KeptSession): Promise<void> {
  await log[Symbol.asyncDispose]()
  await lock[Symbol.asyncDispose]()
}

/** The first line of a session's trace. */
export function traceHeader(session: Transcript, model: Model, sampling?: Sampling): TraceHeader {
  const { logitBias: _, seed, ...plain } = sampling ?? {}
  return {
    type: "trace",
    version: 1,
    sessionId: session.id,
    model: model.info.name,
    fingerprint: model.info.fingerprint,
    options: session.options,
    turns: session.turns,
    calls: session.calls,
    ...(session.agent !== undefined && { agent: session.agent }),
    ...(sampling && { sampling: { ...plain, ...(seed !== undefined && { seed: seed.toString() }) } }),
  }
}
