/** TextEncoder and TextDecoder (UTF-8, UTF-16LE, Latin-1), which an isolate lacks. */

{
  class TextEncoder {
    get encoding() {
      return "utf-8"
    }
    encode(text = "") {
      const bytes = new Uint8Array(String(text).length * 3)
      return bytes.slice(0, this.encodeInto(String(text), bytes).written)
    }
    /** Writes whole characters only; lone surrogates become U+FFFD. */
    encodeInto(text, bytes) {
      let read = 0
      let written = 0
      while (read < text.length) {
        let point = text.codePointAt(read)
        const units = point > 0xffff ? 2 : 1
        if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd
        const length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
        if (written + length > bytes.length) break
        if (length === 1) bytes[written++] = point
        else {
          bytes[written++] = [0, 0, 0xc0, 0xe0, 0xf0][length] | (point >> (6 * (length - 1)))
          for (let shift = 6 * (length - 2); shift >= 0; shift -= 6) bytes[written++] = 0x80 | ((point >> shift) & 63)
        }
        read += units
      }
      return { read, written }
    }
  }

  const bytesOf = (view) =>
    view instanceof Uint8Array
      ? view
      : ArrayBuffer.isView(view)
        ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
        : new Uint8Array(view)

  /** Calls `unit(i, push)` until the end, joining UTF-16 units in pieces that `String.fromCharCode` can take. */
  const decodeUnits = (length, unit) => {
    let text = ""
    let piece = []
    const push = (code) => {
      piece.push(code)
    }
    let i = 0
    while (i < length) {
      i = unit(i, push)
      if (piece.length >= 8192) {
        text += String.fromCharCode.apply(null, piece)
        piece = []
      }
    }
    return text + String.fromCharCode.apply(null, piece)
  }

  const decodeUtf8 = (bytes, fatal) =>
    decodeUnits(bytes.length, (start, push) => {
      const lead = bytes[start]
      if (lead < 0x80) {
        push(lead)
        return start + 1
      }
      const more =
        lead >= 0xc2 && lead <= 0xdf ? 1 : lead >= 0xe0 && lead <= 0xef ? 2 : lead >= 0xf0 && lead <= 0xf4 ? 3 : 0
      let point = lead & (0x3f >> more)
      let i = start + 1
      for (; i <= start + more && i < bytes.length && (bytes[i] & 0xc0) === 0x80; i++)
        point = (point << 6) | (bytes[i] & 63)
      const whole = more > 0 && i === start + more + 1
      if (
        !whole ||
        point < [0, 0x80, 0x800, 0x10000][more] ||
        point > 0x10ffff ||
        (point >= 0xd800 && point <= 0xdfff)
      ) {
        if (fatal) throw new TypeError("The encoded data was not valid for encoding utf-8")
        push(0xfffd)
        return i
      }
      if (point > 0xffff) {
        push(0xd800 | ((point - 0x10000) >> 10))
        push(0xdc00 | (point & 0x3ff))
      } else push(point)
      return i
    })

  class TextDecoder {
    constructor(label = "utf-8", options = {}) {
      const name = String(label).toLowerCase()
      this.fatal = Boolean(options.fatal)
      this.ignoreBOM = Boolean(options.ignoreBOM)
      if (name === "utf8" || name === "utf-8") this.encoding = "utf-8"
      else if (name === "utf-16le" || name === "utf-16") this.encoding = "utf-16le"
      else if (["latin1", "ascii", "iso-8859-1", "windows-1252", "us-ascii"].includes(name))
        this.encoding = "windows-1252"
      else throw new RangeError(`unsupported encoding ${name}`)
    }
    decode(view) {
      if (view === undefined) return ""
      let bytes = bytesOf(view)
      if (this.encoding === "windows-1252")
        return decodeUnits(bytes.length, (i, push) => {
          push(bytes[i])
          return i + 1
        })
      if (this.encoding === "utf-16le")
        return decodeUnits(bytes.length & ~1, (i, push) => {
          push(bytes[i] | (bytes[i + 1] << 8))
          return i + 2
        })
      if (!this.ignoreBOM && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) bytes = bytes.subarray(3)
      return decodeUtf8(bytes, this.fatal)
    }
  }
  globalThis.TextEncoder = TextEncoder
  globalThis.TextDecoder = TextDecoder
}
