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

  // No form is sent by the browser. One submitted before the program runs is remembered for it.
  addEventListener("submit", (event) => {
    event.preventDefault();
    if ("ready" in document.body.dataset) return;
    document.body.dataset.early = event.target.id;
    if (event.submitter?.id === "name-send") event.submitter.textContent = "Starting…";
  }, true);

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

  const run = async () => {
    if (typeof WebAssembly !== "object" || !WebAssembly.instantiateStreaming) {
      byId("fatal-text").textContent = "This browser cannot run WebAssembly. Open the page in a current browser, or allow WebAssembly in its settings.";
      byId("fatal").hidden = false;
      return;
    }
    const go = new Go();
    const response = await fetch(program);
    if (!response.ok) throw new Error("HTTP " + response.status);
    const { instance } = await WebAssembly.instantiateStreaming(count(response), go.importObject);
    await go.run(instance);
    stop("The chat's program has ended. Reload the page; what you wrote is kept.");
  };
  run().catch((error) => {
    console.error(error);
    stop("The chat's program could not be loaded. Check your connection, then reload the page.");
  });
})();
