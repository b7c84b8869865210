// socket.io-client as people use it. The test calls what hangs on window.
const heard = {}, last = {}, rejoins = []

function hear(message) {
  (heard[message.seq] ??= []).push(message.data)
  last[message.room] = message.offset
}

function joined(answer) {
  answer.messages.forEach(hear)
  return answer
}

const ask = (name, body) => new Promise(done => socket.emit(name, body, done))

window.open_ = (url, auth) => new Promise(done => {
  window.socket = io(url, { transports: ["websocket"], auth })
  socket.on("welcome", body => done(body.user))
  socket.on("message", hear)
  socket.on("connect", () => {
    for (const [room, since] of Object.entries(last)) {
      ask("join", { room, since }).then(joined).then(answer => rejoins.push(answer.recovered))
    }
  })
})
window.join = async room => joined(await ask("join", { room, history: 100 }))
window.publish = (room, id, data) => ask("publish", { room, id, data })
window.state = () => ({ heard, rejoins, connected: socket.connected })
