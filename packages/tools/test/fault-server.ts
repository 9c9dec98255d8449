/** A local HTTP server that behaves as its paths say: the documented APIs, and every way in which they can fail. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

export type Answer = (response: ServerResponse, request: Received) => void

export interface FaultServer {
  readonly origin: string
  /** What came in, in order. */
  readonly received: Received[]
  /** Sockets that were opened. */
  connections(): number
  /** Answers of the next requests, in order; the last one stays. */
  answerWith(...answers: readonly Answer[]): void
  close(): Promise<void>
}

export async function faultServer(): Promise<FaultServer> {
  const received: Received[] = []
  let answers: Answer[] = []
  let connections = 0
  const server = createServer(async (request, response) => {
    let body = ""
    for await (const piece of request) body += piece
    const { method = "", url = "", headers } = request
    received.push({ method, url, headers, body })
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    if (answer) answer(response, received.at(-1)!)
    else response.writeHead(404).end()
  })
  server.on("connection", () => connections++)
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    connections: () => connections,
    answerWith: (...next) => {
      answers = [...next]
      received.length = 0
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

export const answerJson =
  (value: unknown, status = 200, headers: { readonly [name: string]: string } = {}): Answer =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value))

/** Faults that any service can have; `text` is what the tool then tells the model. */
export const faults: readonly { readonly name: string; readonly answer: Answer; readonly text: RegExp }[] = [
  { name: "never answers", answer: () => undefined, text: /^timeout$/ },
  { name: "answers a byte at a time for ever", answer: drip, text: /^timeout$/ },
  { name: "is cut off in the middle", answer: cutOff, text: /^network error/ },
  {
    name: "closes the connection at once",
    answer: (response) => void response.socket?.destroy(),
    text: /^network error/,
  },
  { name: "knows no such key", answer: answerJson({ error: "SECRET-KEY is invalid" }, 401), text: /^invalid key$/ },
  { name: "forbids it", answer: answerJson({}, 403), text: /^invalid key$/ },
  { name: "is out of order", answer: answerJson({}, 503), text: /^service unavailable \(status 503\)$/ },
  { name: "limits the rate", answer: answerJson({}, 429), text: /^rate limit reached$/ },
  {
    name: "limits the rate for longer than anyone waits",
    answer: answerJson({}, 429, { "retry-after": "3600" }),
    text: /^rate limit reached; it asks to wait 3600 s$/,
  },
  { name: "does not find it", answer: answerJson({}, 404), text: /^the service answered with status 404$/ },
  {
    name: "answers with a web page",
    answer: (response) => void response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><p>Log in"),
    text: /^the service answered with a web page instead of JSON$/,
  },
  {
    name: "answers with half of a JSON text",
    answer: (response) => void response.end('{"web": {"results": ['),
    text: /something instead of JSON$/,
  },
  { name: "answers with 50 MB", answer: huge, text: /^the answer is larger than \d+ bytes$/ },
  {
    name: "sends the caller inward",
    answer: (response) => void response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data/" }).end(),
    text: /redirect, which is not followed$/,
  },
  { name: "answers in another form", answer: answerJson([1, 2, 3]), text: /^the service answered in an unknown form$/ },
]

function drip(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" })
  const timer = setInterval(() => response.write(" "), 20)
  response.on("close", () => clearInterval(timer))
}

function cutOff(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json", "content-length": "1000" })
  response.write('{"web":')
  setTimeout(() => response.socket?.destroy(), 10)
}

function huge(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" })
  const piece = Buffer.alloc(1_048_576, " ")
  let left = 50
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left--
      if (!response.write(piece)) return void response.once("drain", more)
    }
    response.end()
  }
  more()
}
