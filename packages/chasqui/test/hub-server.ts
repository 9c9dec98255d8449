/** A hub on loopback for tests: one repository, and faults to order. */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface HubFault {
  /** Ends the connection after this many bytes of the file's body, this many times. */
  readonly cut?: { readonly file: string; readonly after: number; times: number }
  /** Stops sending after this many bytes and keeps the connection. */
  readonly stall?: { readonly file: string; readonly after: number; times: number }
  readonly status?: { readonly path: RegExp; readonly code: number; times: number }
  /** Sends other bytes than the checksum is for. */
  readonly wrong?: string
  /** Needs this token. */
  readonly token?: string
}

export class HubServer {
  readonly requests: {
    readonly url: string
    readonly range: string | undefined
    readonly authorization: string | undefined
  }[] = []
  fault: HubFault = {}
  readonly #files: Readonly<Record<string, Buffer>>
  readonly #server: Server

  constructor(files: Readonly<Record<string, Buffer>>) {
    this.#files = files
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? ""
    const { range, authorization } = request.headers
    this.requests.push({ url, range, authorization })
    const { status, token } = this.fault
    const path = /^\/owner\/model\/resolve\/main\/(.+)$/.exec(url)?.[1] ?? ""
    const file = this.#files[path]
    if (token !== undefined && authorization !== `Bearer ${token}`)
      refuse(response, 401, { error: `not with ${authorization}` })
    else if (status?.path.test(url) && status.times-- > 0) refuse(response, status.code, {})
    else if (url.startsWith("/api/models/owner/model/tree/main")) this.#list(response)
    else if (file === undefined) refuse(response, 404, { error: "Repository not found" })
    else this.#send(path, file, range, response)
  }

  #list(response: ServerResponse): void {
    const entries = Object.entries(this.#files).map(([path, bytes]) => ({
      type: "file",
      path,
      size: bytes.length,
      oid: createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex"),
      ...(path.endsWith(".safetensors") && {
        lfs: { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, pointerSize: 134 },
      }),
    }))
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify(entries))
  }

  #send(path: string, file: Buffer, range: string | undefined, response: ServerResponse): void {
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? []
    const start = Number(first)
    const end = last === "" ? file.length : Math.min(Number(last) + 1, file.length)
    const body = Buffer.from(file.subarray(start, end))
    if (this.fault.wrong === path && body.length > 1) body[body.length - 1] = (body.at(-1) as number) ^ 1
    response.writeHead(range === undefined ? 200 : 206, {
      "content-length": body.length,
      etag: '"x"',
      ...(range !== undefined && { "content-range": `bytes ${start}-${end - 1}/${file.length}` }),
    })
    const { cut, stall } = this.fault
    if (cut?.file === path && body.length > cut.after && cut.times-- > 0) {
      response.write(body.subarray(0, cut.after), () => response.destroy())
    } else if (stall?.file === path && body.length > stall.after && stall.times-- > 0) {
      response.write(body.subarray(0, stall.after))
    } else response.end(body)
  }
}

function refuse(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { "content-type": "application/json" })
  response.end(JSON.stringify(body))
}
