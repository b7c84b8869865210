// Starts the page's program, and says so if that fails. The rest is Go.
"use strict";
(() => {
  const { program, size } = document.currentScript.dataset;
  const byId = (id) => document.getElementById(id);

  // Reloads, at most once in ten minutes, since that repairs a page that is older than its program.
  // Otherwise shows a sentence that says what to do.
  const stop = (sentence) => {
    try {
      const last = Number(sessionStorage.getItem("setu.reloaded"));
      if (navigator.onLine && !(Date.now() - last < 600000)) {
        sessionStorage.setItem("setu.reloaded", String(Date.now()));
        return location.reload();
      }
    } catch { /* without storage it cannot be known whether the page has reloaded already */ }
    document.querySelectorAll("dialog[open]").forEach((d) => d.close());
    byId("fatal-text").textContent = sentence;
    byId("fatal").hidden = false;
  };
  globalThis.setuStop = stop;

  // A token in the address (#token=…) is taken out of it before anything else, so that it is neither
  // seen nor shared, and kept for this tab alone.
  const takeToken = () => {
    const parts = location.hash.slice(1).split("&");
    const at = parts.findIndex((part) => part.startsWith("token="));
    if (at < 0) return;
    globalThis.setuToken = parts.splice(at, 1)[0].slice("token=".length);
    const rest = parts.join("&");
    history.replaceState(history.state, "", location.pathname + location.search + (rest && "#" + rest));
    dispatchEvent(new Event("setu-token"));
  };
  takeToken();
  addEventListener("hashchange", takeToken);
  try {
    if (globalThis.setuToken) sessionStorage.setItem("setu.token", globalThis.setuToken);
    else globalThis.setuToken = sessionStorage.getItem("setu.token") ?? "";
  } catch { /* without storage it is kept until the page is left */ }
  byId("fatal-reload").addEventListener("click", () => location.reload());

  // The newest messages, if the relay has written them into the page, are shown as the program will: in
  // this browser's time, by its days, one's own at their side.
  const dress = (list) => {
    const stored = (name) => { try { return localStorage.getItem(name) ?? ""; } catch { return ""; } };
    const room = list.dataset.served;
    // Whoever has been here before comes back into the room that was open.
    if ("assumed" in list.dataset && (stored("setu.last") || room) !== room) {
      list.replaceChildren();
      delete list.dataset.served;
      return;
    }
    delete list.dataset.assumed;
    byId("room-title").firstElementChild.textContent = list.dataset.shown;
    document.title = list.dataset.shown;
    const self = stored("setu.user");
    const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
    const dayOf = (age) => { const d = new Date(); d.setDate(d.getDate() - age); return d.toDateString(); };
    const nameOf = (at) => {
      const recent = [dayOf(0), dayOf(1)].indexOf(at.toDateString());
      if (recent >= 0) return ["Today", "Yesterday"][recent];
      const year = Date.now() - at < 300 * 24 * 60 * 60 * 1000 ? { weekday: "long" } : { year: "numeric" };
      return new Intl.DateTimeFormat(undefined, { ...year, day: "numeric", month: "long" }).format(at);
    };
    let day = "";
    for (const message of [...list.children]) {
      const time = message.querySelector("time");
      const at = new Date(Number(time.dataset.at));
      time.textContent = clock.format(at);
      if (message.dataset.author === self) message.dataset.own = "true";
      message.ariaLabel = (message.dataset.own ? "You" : message.ariaLabel) + ", " + time.textContent;
      if (at.toDateString() === day) continue;
      day = at.toDateString();
      const row = document.createElement("div");
      row.className = "row row-day";
      row.textContent = nameOf(at);
      message.before(row);
      message.classList.add("head");
      row.previousElementSibling?.classList.add("tail");
    }
  };
  if (byId("list").dataset.served) dress(byId("list"));

  // No form is sent by the browser. One submitted before the program runs is remembered for it.
  addEventListener("submit", (event) => {
    event.preventDefault();
    if ("ready" in document.body.dataset) return;
    document.body.dataset.early = event.target.id;
    if (event.submitter?.id === "name-send") event.submitter.textContent = "Starting…";
  }, true);

  // Without WebAssembly there is nothing to give a name for.
  if (typeof WebAssembly !== "object" || !WebAssembly.instantiateStreaming) {
    byId("fatal-text").textContent = "This browser cannot run WebAssembly. Open the page in a current browser, or allow WebAssembly in its settings.";
    byId("fatal").hidden = false;
    return;
  }

  try {
    // Who has a token has a name, and so has everybody where one is required. Who embeds the page may
    // bring one.
    const named = document.body.dataset.auth === "required" || globalThis.setuToken || parent !== self || localStorage.getItem("setu.name");
    if (!named) byId("name-dialog").showModal();
  } catch { /* the program asks */ }

  const count = (response) => {
    let got = 0;
    const counter = new TransformStream({
      transform(chunk, out) {
        got += chunk.length;
        const percent = Math.min(100, Math.round((100 * got) / size));
        byId("progress").value = percent;
        byId("loading-text").textContent = percent + " %";
        out.enqueue(chunk);
      },
    });
    const headers = { "Content-Type": "application/wasm" };
    return new Response(response.body.pipeThrough(counter), { headers });
  };

  // The service worker comes after the program, for whose files it then need not ask again. A page in a
  // frame leaves nothing with the browser of somebody who is at another site.
  const keep = () => {
    if (!navigator.serviceWorker || parent !== self) return;
    const address = "/sw.js";
    const trusted = globalThis.trustedTypes?.createPolicy("setu-worker", { createScriptURL: () => address });
    navigator.serviceWorker.register(trusted ? trusted.createScriptURL(address) : address)
      .catch((error) => console.warn("setu: the page is not kept for when there is no network: " + error.message));
  };

  const run = async () => {
    const go = new Go();
    const response = await fetch(program);
    if (!response.ok) throw new Error("HTTP " + response.status);
    const { instance } = await WebAssembly.instantiateStreaming(count(response), go.importObject);
    const ended = go.run(instance);
    keep();
    await ended;
    stop("The chat's program has ended. Reload the page; what you wrote is kept.");
  };
  run().catch((error) => {
    console.error(error);
    stop("The chat's program could not be loaded. Check your connection, then reload the page.");
  });
})();
