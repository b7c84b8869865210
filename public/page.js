// What a browser does and nobody has to decide: the bar of a message's actions, the list of people to mention,
// pictures and notifications. The program (../wasmclient) says what there is; a line of this takes a tenth of
// what it would take there.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const list = byId("messages"), bar = byId("actions"), composer = byId("composer"), choices = byId("mentions");
  const tellStatus = (text) => { byId("status").textContent = text; };
  const handled = (event) => { event.preventDefault(); event.stopImmediatePropagation(); };

  // The bar goes to the message under the mouse, to the one that has the focus, or to the one on which a finger
  // rests. It is outside of the list, which screen readers read out as it grows.
  let at = null, kept = false, mode = "", asking = 0, timer = 0, from = null, touched = matchMedia("(hover: none) and (pointer: coarse)").matches, keyed = false, rested = false, returning = false, mouse = {}, byMouse = false;
  const messageOf = (target) => target.closest?.("#list .message") ?? null;
  // What the bar asks is no longer said once it is answered, or nobody is asked any more.
  const question = "Press again to delete this message for everybody";
  const setMode = (to) => {
    if (mode === "delete" && to !== mode && byId("status").textContent === question) tellStatus("");
    mode = to;
  };
  const hide = () => { at?.removeAttribute("data-at"); at = null; kept = false; setMode(""); clearTimeout(asking); bar.hidden = true; };
  const place = () => {
    if (!at) return;
    const bubble = at.querySelector(".bubble").getBoundingClientRect(), row = at.getBoundingClientRect(), area = list.getBoundingClientRect();
    if (!at.isConnected || bubble.bottom < area.top || bubble.top > area.bottom) return hide();
    const { offsetWidth: width, offsetHeight: height } = bar, own = "own" in at.dataset;
    // Beside the bubble where the row has room, else above it.
    let left = own ? bubble.left - width : bubble.right, top = bubble.top;
    if (left < row.left || left + width > row.right) {
      left = own ? bubble.left : bubble.right - width;
      top -= height - 6;
      if (top < area.top && bubble.bottom + height - 6 < area.bottom) top = bubble.bottom - 6;
    }
    bar.style.left = Math.min(Math.max(left, area.left + 8), area.right - width - 8) - area.left + "px";
    bar.style.top = Math.min(Math.max(top, area.top), area.bottom - height) - area.top + "px";
  };
  const show = (message, keep) => {
    if (message.matches(".deleted")) return hide();
    if (at !== message) {
      setMode("");
      at?.removeAttribute("data-at");
    }
    at = message;
    kept = keep;
    at.toggleAttribute("data-at", keep);
    const stored = message.dataset.state === "sent", may = (message.dataset.may ?? "").split(" "), writes = stored && !composer.disabled;
    for (const button of bar.children) {
      const { do: what, open: opens } = button.dataset;
      if (what === "react") button.hidden = mode !== "quick";
      else if (what === "delete") button.hidden = mode !== "delete";
      else button.hidden = mode !== "" || what === "link" && !stored || (what === "reply" || opens === "quick") && !writes ||
        (what === "edit" || opens === "delete") && !(writes && may.includes(what ?? opens));
      // No tab stop where the mouse has led it.
      button.tabIndex = keep ? 0 : -1;
    }
    bar.dataset.key = message.dataset.key;
    bar.hidden = false;
    place();
  };
  const open = (message) => {
    show(message, true);
    bar.querySelector("button:not([hidden])")?.focus({ preventScroll: true, focusVisible: !touched });
  };
  // The bar turns into the reactions that are offered, or into the question whether to delete, for four seconds;
  // and back.
  const turn = (to) => {
    const was = mode;
    clearTimeout(asking);
    setMode(to);
    open(at);
    if (to === "delete") {
      tellStatus(question);
      asking = setTimeout(() => { if (mode === "delete") back(); }, 4000);
    }
    if (!to) bar.querySelector(`[data-open=${was}]`).focus({ preventScroll: true, focusVisible: !touched });
  };
  const leave = () => {
    const inside = bar.contains(document.activeElement), message = at;
    hide();
    if (!inside) return;
    returning = true; // where the focus comes back to, the bar does not
    if (message?.isConnected && message.hasAttribute("tabindex")) message.focus({ preventScroll: true });
    else if (!touched) composer.focus({ preventScroll: true });
    returning = false;
  };
  // Back from what the bar has asked. Who asked with the mouse has the bar where the mouse is now, and nowhere else.
  const back = () => {
    if (!byMouse) return turn("");
    const under = document.elementFromPoint(mouse.x, mouse.y), message = bar.contains(under) ? at : under && messageOf(under);
    leave();
    if (message) show(message, false);
  };
  const stopPress = () => clearTimeout(timer);
  document.addEventListener("pointerdown", (event) => {
    touched = event.pointerType === "touch";
    keyed = false;
    stopPress();
    if (bar.contains(event.target)) return;
    if (kept) hide();
    const message = messageOf(event.target);
    if (!touched || !message || event.target.closest("a, button, pre")) return;
    from = event;
    timer = setTimeout(() => {
      rested = true;
      open(message);
    }, 450);
  });
  document.addEventListener("pointermove", ({ clientX: x, clientY: y, target, pointerType }) => {
    if (pointerType === from?.pointerType && Math.hypot(x - from.clientX, y - from.clientY) > 10) stopPress();
    // What comes to lie under a mouse that rests has not been pointed at: it is no place for the bar.
    if (pointerType !== "mouse" || x === mouse.x && y === mouse.y) return;
    mouse = { x, y };
    const message = messageOf(target);
    if (kept || bar.contains(target) || message && message === at) return;
    if (message) show(message, false);
    else hide();
  });
  for (const kind of ["pointerup", "pointercancel"]) document.addEventListener(kind, stopPress);
  // A finger that has rested does not tap when it is lifted.
  document.addEventListener("touchend", (event) => {
    if (rested) event.preventDefault();
    rested = false;
  }, { passive: false });
  // In place of the browser's menu, under a finger and for the key that opens menus.
  document.addEventListener("contextmenu", (event) => {
    const message = messageOf(event.target);
    if (!message || event.target.closest("a, img") || !touched && event.target !== document.activeElement) return;
    event.preventDefault();
    stopPress();
    open(message);
  });
  document.addEventListener("keydown", ({ key }) => { keyed ||= key === "Tab" || key.startsWith("Arrow"); }, true);
  document.addEventListener("focusin", (event) => {
    if (returning) return;
    // Where one touches, a link to a message brings the focus, and nobody has asked what to do with it.
    if (event.target.matches("#list .message:focus-visible") && (keyed || !touched)) show(event.target, true);
    else if (kept && !bar.contains(event.target) && !at.contains(event.target)) hide();
  });
  bar.addEventListener("click", (event) => {
    const opens = event.target.closest("[data-open]")?.dataset.open;
    if (!opens) return leave();
    handled(event);
    byMouse = event.detail > 0 && !touched; // of a key's press it is 0
    if (byMouse) mouse = { x: event.clientX, y: event.clientY };
    turn(opens);
  });
  list.addEventListener("scroll", place);
  new ResizeObserver(place).observe(list);
  // The list changes under the bar, and what can be done changes when a message is stored.
  new MutationObserver(() => {
    if (at?.isConnected) show(at, kept);
    else hide();
  }).observe(byId("list"), { childList: true, subtree: true, attributeFilter: ["data-state", "data-may"] });

  // Messages are no tab stops: the arrow keys go from one to the next, and the bar is the next tab stop.
  const focusMessage = (message) => {
    message.tabIndex = -1;
    message.focus({ preventScroll: true, focusVisible: true });
    message.scrollIntoView({ block: "nearest" });
  };
  // The list is one tab stop, too, however many links and codes stand in it: of those the Tab key leads to the ones
  // of the message that has the focus. A failed message waits for an answer.
  const nextStop = (here, back) => {
    const message = bar.contains(here) ? at : messageOf(here), all = [...document.querySelectorAll("a[href], button, input, textarea, pre, [tabindex]")].filter((el) => el === here ||
      (el.tabIndex >= 0 || el.matches("pre") && el.scrollWidth > el.clientWidth) && !el.disabled && el.checkVisibility({ visibilityProperty: true }) && (!messageOf(el) || messageOf(el) === message || el.matches(".failed button")));
    return all[all.indexOf(here) + (back ? -1 : 1)];
  };
  document.addEventListener("keydown", (event) => {
    const { key, target } = event, onMessage = target.matches("#list .message");
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "Tab" && target.closest(".middle, .foot")) {
      const next = nextStop(target, event.shiftKey);
      if (!next) return;
      if (next.matches("pre")) next.tabIndex = -1; // not every browser lets it have the focus as it is
      next.focus({ focusVisible: true });
    } else if (bar.contains(target)) {
      if (key === "Enter" && event.repeat) ; // one press that lasts says yes to nothing
      else if (key === "Escape") mode ? back() : leave();
      else if (key === "ArrowLeft" || key === "ArrowRight") {
        const buttons = [...bar.querySelectorAll("button:not([hidden])")];
        buttons[buttons.indexOf(target) + (key === "ArrowLeft" ? -1 : 1)]?.focus();
      } else return;
    } else if (key === "Enter" && onMessage) open(target);
    else if ((key === "ArrowUp" || key === "ArrowDown") && (onMessage || target === list)) {
      const all = [...byId("list").querySelectorAll(".message")], bottom = list.getBoundingClientRect().bottom - 20;
      const next = onMessage ? all[all.indexOf(target) + (key === "ArrowUp" ? -1 : 1)]
        : all.findLast((message) => message.getBoundingClientRect().top < bottom);
      if (next) focusMessage(next);
    } else return;
    handled(event);
  });

  // People whose names may be meant by what is written after an @. The focus stays in the composer, which names
  // the chosen one to screen readers.
  let part = null, chosen = 0;
  const close = () => {
    part = null;
    choices.hidden = true;
    composer.removeAttribute("aria-activedescendant");
  };
  const choose = (n) => {
    const rows = [...choices.children];
    chosen = (n + rows.length) % rows.length;
    rows.forEach((row, i) => { row.ariaSelected = String(i === chosen); });
    composer.setAttribute("aria-activedescendant", rows[chosen].id);
  };
  const offer = () => {
    const { value, selectionStart, selectionEnd } = composer;
    const found = selectionStart === selectionEnd && globalThis.setuPeople?.(value.slice(0, selectionStart));
    if (!found) return close();
    part = found.shift();
    choices.replaceChildren(...found.map(([name, note, monogram, hue], i) => {
      const row = byId("mention-template").content.firstElementChild.cloneNode(true), mono = row.querySelector(".mono");
      row.id = "mention-" + i;
      row.querySelector("bdi").textContent = name;
      row.querySelector(".person-note").textContent = note;
      mono.textContent = monogram;
      mono.classList.add("h" + hue);
      return row;
    }));
    choices.hidden = false;
    choose(0);
  };
  const take = (row) => {
    const { value, selectionStart } = composer, name = row.querySelector("bdi").textContent;
    const before = value.slice(0, selectionStart - part.length) + name + " ";
    close();
    composer.value = before + value.slice(selectionStart);
    composer.setSelectionRange(before.length, before.length);
    composer.dispatchEvent(new Event("input", { bubbles: true }));
  };
  composer.addEventListener("input", offer);
  composer.addEventListener("blur", close);
  composer.addEventListener("keydown", (event) => {
    const { key } = event;
    if (part === null || event.isComposing || event.keyCode === 229) return;
    if (key === "ArrowDown" || key === "ArrowUp") choose(chosen + (key === "ArrowDown" ? 1 : -1));
    else if ((key === "Enter" || key === "Tab") && !event.shiftKey) take(choices.children[chosen]);
    else if (key === "Escape") close();
    else return;
    handled(event);
  });
  // A press leaves the focus where it is, and with it the keyboard of a touch screen.
  choices.addEventListener("pointerdown", (event) => event.preventDefault());
  choices.addEventListener("mousedown", (event) => event.preventDefault());
  choices.addEventListener("click", (event) => {
    const row = event.target.closest("[role=option]");
    if (row && part !== null) take(row);
  });

  // A picture is pasted, dropped or chosen, and written anew, smaller: which takes out what cameras write into
  // their files, such as where it was taken. The program looks at a file's first bytes before it is decoded.
  const shrink = async (bitmap) => {
    let type = "image/webp";
    for (const length of [1600, 1280, 1024, 768, 512, 256]) {
      const scale = Math.min(1, length / Math.max(bitmap.width, bitmap.height)), scaled = (n) => Math.max(1, Math.round(n * scale));
      const canvas = new OffscreenCanvas(scaled(bitmap.width), scaled(bitmap.height)), context = canvas.getContext("2d");
      for (const quality of [0.85, 0.7, 0.5]) {
        if (type === "image/jpeg") { // it has no transparency
          context.fillStyle = "white";
          context.fillRect(0, 0, canvas.width, canvas.height);
        }
        context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
        const blob = await canvas.convertToBlob({ type, quality });
        if (blob.type === type && blob.size <= 100000) return blob;
        if (blob.type !== type) type = "image/jpeg"; // not every browser writes WebP
      }
    }
    throw new Error("too large");
  };
  const tell = (detail) => dispatchEvent(new CustomEvent("setu-picture", { detail }));
  let before = Promise.resolve(); // one picture after another
  const use = (files) => before = before.then(() => prepare(files[0]));
  const prepare = async (file) => {
    if (!file || !globalThis.setuLook) return;
    try {
      const said = setuLook(new Uint8Array(await file.slice(0, 262144).arrayBuffer()), file.size);
      if (said && said !== "as it is") return tell(said);
      const blob = said ? file : await shrink(await createImageBitmap(file));
      tell(new Uint8Array(await blob.arrayBuffer()));
    } catch {
      tell("That picture can’t be read");
    }
  };
  byId("attach").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async ({ target }) => {
    await use(target.files);
    target.value = ""; // so that it can be chosen again
  });
  document.addEventListener("paste", (event) => {
    // With a text beside it, that is what is meant.
    if (!event.clipboardData?.files.length || event.clipboardData.getData("text/plain") || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    use(event.clipboardData.files);
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      if (kind !== "dragleave") event.preventDefault();
      byId("app").toggleAttribute("data-drop", kind === "dragover" || kind === "dragleave" && event.relatedTarget !== null);
      if (kind === "drop") use(event.dataTransfer.files);
    });
  }

  // Of many reactions the last ones are shown when that is asked for.
  document.addEventListener("click", ({ target }) => {
    const more = target.closest?.(".more");
    if (more) more.ariaExpanded = String(more.ariaExpanded !== "true");
  });

  // For the program.

  // Gathers what a socket receives: of frames that come fast, those of 25 ms are handed over together, since each
  // call of the program costs more than a message does. A hidden page's timers are too late for that.
  globalThis.setuGather = (receive) => {
    let held = [], timer = 0, fast = 0, last = 0;
    const take = () => {
      const all = held;
      clearTimeout(timer);
      timer = 0;
      held = [];
      return all.length ? all.join("\x1e") : undefined;
    };
    const pass = () => receive(take());
    const onmessage = ({ data }) => {
      const now = performance.now();
      fast = Math.min(Math.max(0, fast - (now - last) / 20) + 1, 50); // more than 50 a second add up
      last = now;
      if (typeof data !== "string") {
        if (held.length) pass();
        return receive(data);
      }
      held.push(data);
      if (fast < 8 || document.hidden) pass();
      else timer ||= setTimeout(pass, 25);
    };
    return { onmessage, take };
  };

  // Takes rows out of the list, by their numbers from its end, and appends others, of which it is told in one text: see
  // plainRow.
  const template = byId("message-template").content.firstElementChild;
  globalThis.setuRows = (gone, texts) => {
    const rows = byId("list");
    const standing = [...rows.children];
    for (const n of gone.trim().split(" ")) if (n) standing.at(n).remove();
    const made = texts ? texts.split("\x1e").map((row) => {
      const [kind, id, key, author, name, place, hue, monogram, verified, text, at, short, long, label] = row.split("\x1f");
      const el = template.cloneNode(true), [mono, stack] = el.children, [by, bubble] = stack.children, [said, meta] = bubble.children, time = meta.firstChild;
      el.className = kind;
      Object.assign(el.dataset, { id, key, state: "sent", author, may: "" });
      el.ariaLabel = label;
      if (place) by.title = mono.title = place;
      by.firstChild.textContent = name;
      mono.className = "mono h" + hue;
      mono.textContent = monogram;
      if (verified) {
        const tag = document.createElement("span");
        tag.className = "tag";
        tag.textContent = verified;
        by.append(tag);
      }
      said.textContent = text;
      time.textContent = short;
      time.title = long;
      time.dateTime = new Date(Number(at)).toISOString();
      time.dataset.at = at;
      return el;
    }) : [];
    rows.append(...made);
    return made;
  };
  // What a name is sorted by: its letters without marks, and the nearest to those that are no letter with a mark.
  const nearest = { Đ: "D", đ: "d", Ł: "L", ł: "l", Ø: "O", ø: "o", Æ: "A", æ: "a", Œ: "O", œ: "o", ß: "s" };
  globalThis.setuPlain = (name) => name.normalize("NFD").replace(/\p{M}/gu, "").replace(/\P{ASCII}/gu, (letter) => nearest[letter] ?? letter);
  globalThis.setuSave = (bytes, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  globalThis.setuNotify = async (title, body, room, address, loud) => {
    const options = { body, tag: "setu." + room, renotify: loud, silent: !loud };
    try {
      const notification = new Notification(title, options);
      notification.onclick = () => {
        focus();
        notification.close();
        history.pushState(null, "", address);
        dispatchEvent(new PopStateEvent("popstate"));
      };
    } catch { // where only a service worker may
      if (navigator.serviceWorker?.controller) (await navigator.serviceWorker.ready).showNotification(title, options);
    }
  };
})();
