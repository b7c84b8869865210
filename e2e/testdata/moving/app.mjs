// The back end of a chat: functions behind HTTP, which Setu asks (docs/hooks.md). It holds no sockets, and Node's
// own modules are all that it needs. In place of what it does here stood io.use and io.on("connection").
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const { SETU, SETU_KEY, HOOK_SECRET } = process.env;
const people = { a1: { id: "asha", name: "Asha" }, b2: { id: "ben", name: "Ben" } }; // by the cookie of their login
const online = new Set();
const fences = {}; // of each user, the highest that was told

// asked answers requests, and takes notices: by their type.
const asked = {
  // io.use((socket, next) => …)
  connect({ headers }) {
    const user = people[/\blogin=(\w+)/.exec(headers.cookie)?.[1]];
    if (!user) return refuse("unauthorized", "log in first");
    return { user, rooms: ["lobby"], rights: { "*": ["history", "members"] }, data: { since: Date.now() } };
  },
  // socket.on(name, …)
  event({ event, args, ...asker }) {
    return on[event]?.(asker, ...args) ?? refuse("bad_request", `no such event: ${event}`);
  },
  // socket.on("disconnect", …), also if the server of the sockets has died
  "user.online": ({ user, fence }) => isNew(user, fence) && online.add(user.id),
  "user.offline": ({ user, fence }) => isNew(user, fence) && online.delete(user.id),
};

const on = {
  "chat message": ({ user, rooms }, room, text) =>
    rooms.includes(room)
      ? { emit: [{ room, event: "chat message", args: [user.name, text], stored: true }], ack: ["stored"] }
      : refuse("not_joined", "enter the room first"),
  enter: ({ user }, room) => ({ join: [room], emit: [{ room, event: "entered", args: [user.name, room], self: false }], ack: [{ room }] }),
  whisper: ({ user }, to, text) => ({ emit: [{ user: to, event: "whisper", args: [user.name, text] }], ack: [online.has(to)] }),
  typing: ({ user }, room) => ({ emit: [{ room, event: "typing", args: [{ name: user.name }], self: false }] }),
  // await io.in(room).fetchSockets()
  who: async (_, room) => ({ ack: [(await api(`rooms/${encodeURIComponent(room)}/members`)).members.map((m) => m.name).sort()] }),
};

const refuse = (code, message) => ({ refused: { code, message } });
const isNew = ({ id }, fence) => !(fence <= fences[id]) && (fences[id] = fence);

async function api(path) {
  const res = await fetch(`${SETU}/api/v1/${path}`, { headers: { Authorization: `Bearer ${SETU_KEY}` } });
  if (!res.ok) throw new Error(`${path}: ${res.status}`);
  return res.json();
}

// isSetu checks the signature, as Standard Webhooks has it.
function isSetu(headers, body) {
  const stamp = headers["webhook-timestamp"];
  const mac = createHmac("sha256", Buffer.from(HOOK_SECRET.slice("whsec_".length), "base64"));
  const want = Buffer.from("v1," + mac.update(`${headers["webhook-id"]}.${stamp}.`).update(body).digest("base64"));
  const same = (sent) => sent.length === want.length && timingSafeEqual(Buffer.from(sent), want);
  return Math.abs(Date.now() / 1000 - stamp) < 300 && (headers["webhook-signature"] ?? "").split(" ").some(same);
}

const server = createServer(async (req, res) => {
  const parts = [];
  for await (const part of req) parts.push(part);
  const body = Buffer.concat(parts);
  const reply = (status, what) => res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(what));
  if (!isSetu(req.headers, body)) return reply(401, {});
  try {
    const request = JSON.parse(body);
    const answer = (await asked[request.type]?.(request)) || {};
    return answer.refused ? reply(403, answer.refused) : reply(200, answer);
  } catch (err) {
    console.error(err);
    return reply(500, {});
  }
});
server.listen(process.env.PORT ?? 0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
