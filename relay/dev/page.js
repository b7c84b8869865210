// The page of setu dev: it asks for the state once a second. All texts are strangers', so they are set as
// text, and never as markup.
"use strict";

const most = 200; // events that are shown
let last = 0; // number of the newest event that is shown
let paused = false;

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function row(...cells) {
  const tr = element("tr");
  for (const cell of cells) {
    const td = element("td");
    td.append(...[cell].flat());
    tr.append(td);
  }
  return tr;
}

const time = (ms) => new Date(ms).toLocaleTimeString();
const named = (user) => (user.name && user.name !== user.id ? `${user.name} (${user.id})` : user.id);

function showSessions(state) {
  byId("sessions").replaceChildren(...state.sessions.map((s) => row(named(s.user), element("code", s.id), s.transport, s.rooms.join(", "), time(s.since))));
  byId("sessions-count").textContent = state.total > state.sessions.length ? `${state.sessions.length} of ${state.total}` : String(state.total);
  byId("no-sessions").hidden = state.total > 0;
}

function showRooms(state) {
  byId("rooms").replaceChildren(...state.rooms.map((r) => element("li", `${r.room} · ${r.count}`)));
  byId("rooms-count").textContent = state.rooms.length + (state.more ? "+" : "");
  byId("no-rooms").hidden = state.rooms.length > 0;
}

function eventRow(e) {
  const what = [element("strong", e.type)];
  if (e.name) what.push(" ", element("code", e.name));
  if (e.by === "nobody") return row(time(e.at), what, e.user, element("code", e.detail), "not asked: allowed");
  const by = e.by === "rule" && e.rule !== "connect" ? `rule ${e.rule}` : e.by;
  const answer = [element("span", by, "by"), " "];
  if (e.error) answer.push(element("span", `no answer: ${e.error}`, "bad"));
  else {
    if (e.status !== 200) answer.push(element("span", String(e.status), e.status >= 300 ? "bad" : ""), " ");
    answer.push(element("code", e.answer));
  }
  answer.push(` ${e.ms.toFixed(1)} ms`);
  return row(time(e.at), what, e.user, element("code", e.detail), answer);
}

function showEvents(state) {
  const body = byId("events");
  if (state.last < last) body.replaceChildren(); // it was started again
  for (const e of state.events) body.prepend(eventRow(e));
  while (body.rows.length > most) body.lastElementChild.remove();
  last = state.last;
  byId("no-events").hidden = body.rows.length > 0;
}

async function refresh() {
  try {
    const answer = await fetch(`/_dev/state?after=${last}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const state = await answer.json();
    if (!paused) {
      showSessions(state);
      showRooms(state);
      showEvents(state);
    }
    byId("state").textContent = paused ? "paused" : `relay ${state.relay}, live`;
    byId("state").className = "";
  } catch {
    byId("state").textContent = "the relay does not answer";
    byId("state").className = "bad";
  }
  setTimeout(refresh, 1000);
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
});

refresh();
