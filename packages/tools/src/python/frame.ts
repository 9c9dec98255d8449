/**
 * The pipe between host and jailed process: a frame is two little-endian 32-bit lengths (JSON, attachment), the JSON text, the
 * attachment. Lengths are checked before anything is stored, so a peer that lies can waste no memory. What a frame means is in protocol.ts.
 */

export interface Frame {
  readonly json: unknown
  readonly attachment: Uint8Array<ArrayBuffer>
}

export interface FrameLimits {
  readonly jsonBytes: number
  readonly attachmentBytes: number
}

/** The peer broke the protocol: the connection is over. */
export class FrameError extends Error {
  readonly _tag = "FrameError"
}

const headerBytes = 8

/** The pieces of a frame, to be written one after the other; most frames are one piece, and so one system call. */
export function encodeFrame(json: unknown, attachments: readonly Uint8Array[] = []): Uint8Array[] {
  const text = Buffer.from(JSON.stringify(json), "utf8")
  const head = Buffer.alloc(headerBytes + text.byteLength)
  const attached = attachments.reduce((sum, part) => sum + part.byteLength, 0)
  head.writeUInt32LE(text.byteLength, 0)
  head.writeUInt32LE(attached, 4)
  text.copy(head, headerBytes)
  return [head, ...attachments]
}

/** Cuts a byte stream into frames, however it arrives. Throws FrameError on a length over the limits or on text that is no JSON. */
export class FrameReader {
  readonly #limits: FrameLimits
  #chunks: Uint8Array[] = []
  #buffered = 0

  constructor(limits: FrameLimits) {
    this.#limits = limits
  }

  *push(chunk: Uint8Array): Generator<Frame> {
    this.#chunks.push(chunk)
    this.#buffered += chunk.byteLength
    while (this.#buffered >= headerBytes) {
      const header = this.#peekHeader()
      if (header.jsonBytes > this.#limits.jsonBytes || header.attachmentBytes > this.#limits.attachmentBytes)
        throw new FrameError(`a frame of ${header.jsonBytes} + ${header.attachmentBytes} bytes is over the limit`)
      const total = headerBytes + header.jsonBytes + header.attachmentBytes
      if (this.#buffered < total) return
      const bytes = this.#take(total)
      const text = bytes.subarray(headerBytes, headerBytes + header.jsonBytes)
      yield { json: parse(text), attachment: bytes.subarray(headerBytes + header.jsonBytes) }
    }
  }

  #peekHeader(): FrameLimits {
    if (this.#chunks[0]!.byteLength < headerBytes) this.#chunks = [Buffer.concat(this.#chunks)]
    const first = this.#chunks[0]!
    const view = new DataView(first.buffer, first.byteOffset, headerBytes)
    return { jsonBytes: view.getUint32(0, true), attachmentBytes: view.getUint32(4, true) }
  }

  /** The first `count` bytes as an array of their own; what follows stays buffered. */
  #take(count: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(count)
    let filled = 0
    while (filled < count) {
      const chunk = this.#chunks[0]!
      const part = chunk.subarray(0, count - filled)
      bytes.set(part, filled)
      filled += part.byteLength
      if (part.byteLength === chunk.byteLength) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(part.byteLength)
    }
    this.#buffered -= count
    return bytes
  }
}

function parse(text: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text))
  } catch {
    throw new FrameError("a frame holds no JSON")
  }
}
