// The queue stays as it is now, under the reader's hand: keys, live rows, the count in the tab's title, a sound.
import { fetchPart, said, send, toast } from "./fragment.js";

const queue = document.getElementById("queue");
const signedIn = Boolean(document.body.dataset.person);
const title = document.title;

/* The list */

let running = false, wanted = false, pressed = false;

async function refreshList() {
  if (!queue || !document.contains(queue)) return;
  if (running || pressed) { wanted = true; return; }
  running = true;
  wanted = false;
  try {
    // The list that is shown: "/" alone may mean another by now.
    const here = "first" in queue.dataset ? queue.dataset.url : location.pathname + location.search;
    const response = await fetchPart(here);
    if (response.ok && !response.redirected) put(await response.text());
  } catch { /* the connection is lost: live.js says so, and tells when it is back */ }
  running = false;
  if (wanted) setTimeout(refreshList, 250);
}

/** Puts the new list in place: what the reader looks at stays where it is, with focus, choices and open parts. */
function put(text) {
  const kept = [...queue.querySelectorAll("input[name=thread]:checked")].map((box) => box.id);
  const filter = queue.querySelector("details.filter")?.open;
  const until = queue.querySelector("#until")?.value;
  const focus = queue.contains(document.activeElement) ? document.activeElement.id : "";
  const anchor = queue.querySelector(".row:focus-within, .row:hover") ?? [...queue.querySelectorAll(".row")].find((row) => row.getBoundingClientRect().bottom > 0);
  const top = anchor?.getBoundingClientRect().top;
  queue.innerHTML = text;
  for (const id of kept) { const box = document.getElementById(id); if (box) box.checked = true; }
  if (filter) queue.querySelector("details.filter").open = true;
  if (until && queue.querySelector("#until")) queue.querySelector("#until").value = until;
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  const moved = anchor && document.getElementById(anchor.id);
  if (moved && window.scrollY > 0) window.scrollBy({ top: moved.getBoundingClientRect().top - top, behavior: "instant" });
  queue.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
}

/* Keys */

function step(by) {
  const links = [...queue.querySelectorAll(".row .who a")];
  const at = links.findIndex((link) => link.closest(".row").contains(document.activeElement));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, at + by))];
  next?.focus();
  next?.closest(".row").scrollIntoView({ block: "nearest" });
}

function clicked(event) {
  const does = event.target.closest("[data-queue]")?.dataset.queue;
  if (does === "next") step(1);
  if (does === "previous") step(-1);
  if (does === "select") document.activeElement.closest(".row")?.querySelector("input[name=thread]")?.click();
}

/* Forms */

async function submitted(event) {
  const form = event.target;
  if (form.id !== "bulk" && form.id !== "wishes") return;
  event.preventDefault();
  const button = event.submitter;
  if (button?.name === "notify" && button.dataset.wants === "permission") {
    // It is on already, but not here: the press asks this browser, and switches nothing off.
    await allowed(form);
    return showPermission();
  }
  if (button?.name === "notify" && button.value === "on" && !await allowed(form)) return;
  if (button?.name === "sound" && button.value === "on") chime();
  const response = await send(form, button);
  if (response.ok && form.id === "bulk") {
    for (const box of queue.querySelectorAll("input[name=thread]:checked")) box.checked = false;
    toast(await response.text());
  } else if (!response.ok) {
    await said(response);
  }
  refreshList();
}

/** Whether this browser may show notifications: asked only by a press, and said if it may not. */
async function allowed(form) {
  if ("Notification" in window && await Notification.requestPermission() === "granted") return true;
  toast(form.dataset.blocked);
  return false;
}

/** The switch says how it stands in this browser, too. */
function showPermission() {
  const button = document.getElementById("wish-notify");
  if (!button || button.value === "on") return;
  const granted = "Notification" in window && Notification.permission === "granted";
  if (granted) {
    if (button.dataset.wants) { delete button.dataset.wants; refreshList(); }
    return;
  }
  const label = button.textContent.trim().split(":")[0];
  button.textContent = `${label}: ${button.form.dataset.ask}`;
  button.dataset.wants = "permission";
}

/* What needs me */

const LATE = 1000; // ms after which a sound says nothing any more
let newest;

async function count() {
  const response = await fetchPart("/queue/needs").catch(() => null);
  if (!response?.ok || response.redirected) return;
  const needs = await response.json();
  document.title = needs.waiting > 0 ? `(${needs.waiting}) ${title}` : title;
  const isNew = newest !== undefined && needs.newest > newest;
  newest = needs.newest ?? 0;
  const first = document.documentElement.dataset.live === "leads";
  if (!isNew || document.hasFocus() || !first) return;
  if (needs.sound) chime();
  if (needs.notify && "Notification" in window && Notification.permission === "granted") {
    const spanish = document.documentElement.lang === "es";
    // Nobody's name, number or words: a screen is seen by others.
    new Notification(spanish ? "Mensaje nuevo en la bandeja" : "New text in the inbox", { tag: "inbox", renotify: true });
  }
}

let audio;

/** Two soft notes. A page that nobody has touched is silent, and does not make up for it later. */
async function chime() {
  audio ??= new AudioContext();
  const due = Date.now();
  await audio.resume();
  if (Date.now() - due > LATE) return;
  for (const [at, pitch] of [[0, 660], [.14, 880]]) {
    const [note, volume] = [audio.createOscillator(), audio.createGain()];
    const start = audio.currentTime + at;
    note.frequency.value = pitch;
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(.12, start + .02);
    volume.gain.exponentialRampToValueAtTime(.0001, start + .35);
    note.connect(volume).connect(audio.destination);
    note.start(start);
    note.stop(start + .4);
  }
}

if (signedIn) {
  for (const name of ["live:queue", "live:again"]) document.addEventListener(name, count);
}
if (queue) {
  for (const name of ["live:queue", "live:presence", "live:again"]) document.addEventListener(name, refreshList);
  setInterval(refreshList, 30000);      // minutes pass also when nothing happens
  document.addEventListener("click", clicked);
  queue.addEventListener("refreshed", showPermission);
  showPermission();
  document.addEventListener("submit", submitted);
  // Nothing moves under a finger that is coming down.
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { pressed = false; if (wanted) setTimeout(refreshList, 250); });
}
