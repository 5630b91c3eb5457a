// The end of a session that nobody uses: a warning a minute before, and a covered page after. What was typed stays in
// its fields, under the cover.

import { fetchPart } from "./fragment.js";

const person = document.body.dataset.person;
let dialog, timer, ticking, said = 0;

/** Asks how long is left, and comes back when it is time to warn. */
async function look() {
  clearTimeout(timer);
  let response;
  try { response = await fetchPart("/session"); } catch { timer = setTimeout(look, 15000); return; }
  if (!response.ok) return;                     // 401 is told by "signed-out"
  const holder = document.createElement("div");
  holder.innerHTML = await response.text();
  const fresh = holder.firstElementChild;
  if (!fresh?.dataset.left) return;
  if (fresh.dataset.person !== person) { location.reload(); return; }
  if (!dialog) {
    dialog = fresh;
    document.body.append(dialog);
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); if (!ended()) stay(); });
    dialog.querySelector("#idle-stay").addEventListener("click", stay);
    dialog.querySelector("#idle-on").addEventListener("click", goOn);
  }
  const [left, early] = [Number(fresh.dataset.left), Number(fresh.dataset.warn)];
  if (left > early) {
    hide();
    timer = setTimeout(look, (left - early) * 1000);
  } else {
    warn(left);
  }
}

const ended = () => dialog && !dialog.querySelector("#idle-ended").hidden;

function warn(left) {
  const until = Date.now() + left * 1000;
  const seconds = dialog.querySelector("#idle-seconds");
  const tick = () => { seconds.textContent = Math.max(0, Math.ceil((until - Date.now()) / 1000)); };
  clearInterval(ticking);
  tick();
  ticking = setInterval(tick, 1000);
  if (!dialog.open) dialog.showModal();
  // A second later than the server, which then says 401.
  timer = setTimeout(look, (left + 1) * 1000);
}

function hide() {
  clearInterval(ticking);
  document.body.classList.remove("covered");
  if (!dialog) return;
  dialog.querySelector("#idle-ended").hidden = true;
  dialog.querySelector("#idle-warning").hidden = false;
  if (!dialog.open) return;
  dialog.close();
  // The focus is back in a field that was covered, where Chromium's cursor takes no letters until it comes anew.
  const field = document.activeElement;
  field?.blur();
  field?.focus({ preventScroll: true });
}

async function stay() {
  said = Date.now();
  try {
    const response = await fetchPart("/session", { method: "POST" });
    if (response.ok) look();
  } catch { look(); }
}

/** Signed in again in another tab? */
async function goOn() {
  const response = await fetchPart("/session").catch(() => null);
  if (response?.ok) {
    await look();
    document.dispatchEvent(new CustomEvent("signed-in"));
    document.dispatchEvent(new CustomEvent("live:again"));
  }
}

document.addEventListener("signed-out", () => {
  if (!person || ended()) return;
  clearTimeout(timer);
  clearInterval(ticking);
  // Without the words, which were never fetched, the server says it.
  if (!dialog) { location.reload(); return; }
  document.body.classList.add("covered");
  dialog.querySelector("#idle-warning").hidden = true;
  dialog.querySelector("#idle-ended").hidden = false;
  if (!dialog.open) dialog.showModal();
});

if (person) {
  look();
  // Keys and clicks are use, also where no page is loaded. Once a minute is enough.
  for (const kind of ["keydown", "pointerdown"]) {
    document.addEventListener(kind, () => {
      if (Date.now() - said > 60000 && !dialog?.open) stay();
    }, { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !ended()) look(); });
}
