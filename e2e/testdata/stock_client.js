// socket.io-client as people use it, any number of times. The test calls what hangs on window, and has each client's log.
const clients = []

// On the way to the test and back, bytes are {"$bytes": "00ff"}.
const fromHex = hex => new Uint8Array(hex.match(/../g)?.map(two => parseInt(two, 16)) ?? []).buffer
const toHex = bytes => [...new Uint8Array(bytes)].map(byte => byte.toString(16).padStart(2, "0")).join("")
const revive = text => JSON.parse(text, (_, value) => (typeof value?.$bytes === "string" ? fromHex(value.$bytes) : value))
const plain = data => JSON.stringify(data, (_, value) => (value instanceof ArrayBuffer ? { $bytes: toHex(value) } : value))

const flat = ({ room, seq, id, from, data, offset }) => ({ room, seq, id, user: from.id, data: plain(data), offset })
const until = condition => new Promise(done => {
  const look = () => (condition() ? done() : setTimeout(look, 20))
  look()
})

class Client {
  log = []
  seats = {} // room -> the offset to come back with
  away = true // between two sessions
  waiting = new Set() // what is to be told that the connection is gone

  constructor(url, auth, options) {
    const socket = (this.socket = io(url, { auth, forceNew: true, ...options }))
    socket.io.on("open", () => this.note("opened", { session: socket.io.engine.id }))
    socket.on("connect", () => this.connected())
    socket.on("connect_error", e => this.note("failed", { note: `${e.message} ${e.description ?? ""}` }))
    socket.on("disconnect", reason => {
      this.note("gone", { note: reason })
      this.away = true
      this.waiting.forEach(gone => gone())
    })
    socket.on("welcome", body => {
      this.user = body.user
      this.note("welcomed", { note: body.relay })
    })
    socket.on("message", message => {
      this.resume() // who hears something without having joined again is still in the room
      this.hear("received", message)
    })
    socket.on("reset", body => {
      this.resume()
      this.seats[body.room] = body.offset
      this.note("reset", { room: body.room, offset: body.offset, messages: body.messages.map(flat) })
    })
  }

  note(kind, more) { this.log.push({ at: performance.timeOrigin + performance.now(), kind, ...more }) }

  hear(kind, message) {
    this.seats[message.room] = message.offset
    this.note(kind, { message: flat(message) })
  }

  resume() {
    if (!this.away) return
    this.away = false
    this.note("resumed")
  }

  async connected() {
    const { socket } = this
    this.note("connected", { session: socket.io.engine.id })
    if (socket.recovered) return this.resume()
    await Promise.all(Object.keys(this.seats).map(room => this.join(room)))
    this.away = false
  }

  // ask is answered with null where the connection ends before the answer. Heard takes an answer where it stands among the
  // messages: a promise is settled later, when those of the same packet have been heard.
  ask(name, body, heard = answer => answer) {
    return new Promise(done => {
      const gone = () => done(null)
      this.waiting.add(gone)
      this.socket.emit(name, body, answer => {
        this.waiting.delete(gone)
        done(heard(answer))
      })
    })
  }

  join(room) {
    const since = this.seats[room]
    this.note("joining", { room, since })
    return this.ask("join", { room, since, history: 100 }, answer => {
      if (!answer.ok) return answer
      const { recovered, offset, count } = answer
      const messages = answer.messages.map(flat)
      this.seats[room] = offset
      this.away = false
      this.note("joined", { room, since, recovered, offset, messages })
      return { ok: true, count, messages }
    })
  }

  // publish repeats itself until it is answered.
  async publish(room, id, data) {
    for (;;) {
      await until(() => this.socket.connected && !this.away)
      const message = { room, id, user: this.user.id, data }
      this.note("publishing", { message })
      const answer = await this.ask("publish", { room, id, data: revive(data) })
      if (answer?.ok) {
        const { seq, offset, duplicate = false } = answer
        this.note("stored", { message: { ...message, seq, offset }, duplicate })
        return { ok: true, seq, offset, duplicate }
      }
      if (answer && !["unavailable", "not_joined"].includes(answer.error.code)) return answer
    }
  }

  async talk(room, every) {
    this.talking = true
    for (let n = 1; this.talking; n++) {
      await this.publish(room, `talk-${n}`, `{"n":${n}}`)
      await new Promise(done => setTimeout(done, every))
    }
    this.hushed = true
  }
}

const does = {
  async connect({ url, auth, transports }) {
    const client = new Client(url, auth, transports ? { transports } : {})
    clients.push(client)
    await until(() => client.user)
    return client.user
  },
  join: ({ n, room }) => clients[n].join(room),
  publish: ({ n, room, id, data }) => clients[n].publish(room, id, data),
  history: async ({ n, room }) => ({ messages: (await clients[n].ask("history", { room, limit: 100 })).messages.map(flat) }),
  talk: ({ n, room, every }) => void clients[n].talk(room, every),
  async hush({ n }) {
    clients[n].talking = false
    await until(() => clients[n].hushed)
  },
  state({ n }) {
    const { socket, log, away } = clients[n]
    const state = { log: log.splice(0), connected: socket.connected && !away, transport: socket.io.engine.transport.name }
    return { ...state, recovers: socket.recovered !== undefined }
  },
}

window.take = ask => does[ask.do](ask)
