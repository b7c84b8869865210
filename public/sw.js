// The service worker keeps the page and its program, so that a reload without a network, or while the
// relay is away, shows the page; the program then shows what it has stored. It is JavaScript, as it has to
// run before there is any program, and decides nothing but where an answer comes from.
//
// It can't keep an old version alive: the page comes from the relay whenever that answers, and names its
// files by their content. A worker keeps the files of its own version alone, and removes those of others.
// What a relay says, over /socket.io/ or /api/, does not pass through here.
"use strict";
const mine = "setu {{version}}";
const files = [{{range $i, $name := kept}}{{if $i}}, {{end}}"{{$name}}"{{end}}]; // the program first

// How long the relay may take to answer before the page that is kept is shown.
const patience = 5000;

const install = async () => {
  // While relays of two versions run side by side, the page may be of the other one: then the next visit
  // tries again. As the request is not for a document, no messages are in it.
  const page = await fetch("/", { cache: "no-cache" });
  if (!page.ok || !(await page.clone().text()).includes(files[0])) throw new Error("the relay has another version");
  const cache = await caches.open(mine);
  await cache.addAll(files);
  await cache.put("/", page);
  await skipWaiting();
};

const tidy = async () => {
  for (const name of await caches.keys()) if (name !== mine) await caches.delete(name);
};

const kept = async (path) => (await caches.open(mine)).match(path);

const page = async (request) => {
  const answer = fetch(request);
  const late = new Promise((resolve) => setTimeout(resolve, patience));
  const first = await Promise.race([answer, late]).catch(() => undefined);
  if (first && first.status < 500) return first;
  return (await kept("/")) ?? answer;
};

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(tidy()));
addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate") {
    if (pathname === "/" || pathname.startsWith("/r/")) event.respondWith(page(request));
  } else if (files.includes(pathname)) {
    event.respondWith(kept(pathname).then((file) => file ?? fetch(request)));
  }
});
