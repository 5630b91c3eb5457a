// Keys: what has data-key is done by it, outside of fields. "?" shows what is possible on this page.

const WAIT = 1200; // ms for the second key of two, as the hand presses them: a busy page takes nothing away
const OFF = "keys-off";

let before = "";
let at = 0; // when that was pressed

const field = (element) => element?.closest?.("input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]");
const allowed = () => localStorage.getItem(OFF) === null;

/** What can be done by a key now: in an open window only what is inside it. */
function doable() {
  const root = document.querySelector("dialog[open]") ?? document;
  return [...root.querySelectorAll("[data-key]")].filter((element) => !element.disabled && reachable(element));
}

// What lies in a closed part of the page is opened for its key.
const reachable = (element) => element.checkVisibility() || Boolean(folds(element).at(-1)?.checkVisibility());

/** The parts of the page that have to be open for an element to be seen, the innermost first. */
function folds(element) {
  const found = [];
  let at = element.matches("summary") ? element.parentElement.parentElement : element;
  while ((at = at.closest("details"))) { found.push(at); at = at.parentElement; }
  return found;
}

function run(element) {
  for (const fold of folds(element)) fold.open = true;
  if (field(element)) {
    element.focus();
    // What is in a line is written anew; what stands in a box is gone on with.
    if (element.matches("input")) element.select();
    return;
  }
  if (!element.matches("summary")) { element.click(); return; }
  // Whoever opens a form by a key goes on writing.
  element.parentElement.open = true;
  (element.parentElement.querySelector("input:not([type=hidden]), select, textarea") ?? element).focus();
}

function forget() {
  before = "";
}

function press(key, when) {
  if (when - at > WAIT) forget();
  at = when;
  const all = doable();
  const typed = before ? `${before} ${key}` : key;
  const exact = all.find((element) => element.dataset.key === typed);
  if (exact) { forget(); run(exact); return true; }
  if (all.some((element) => element.dataset.key.startsWith(`${typed} `))) {
    before = typed;
    return true;
  }
  if (!before) return false;
  forget();
  return press(key, when);
}

function list() {
  const dialog = document.getElementById("keys");
  const place = document.getElementById("keys-here");
  if (!dialog || document.querySelector("dialog[open]")) return;
  const seen = new Set();
  place.replaceChildren();
  for (const element of doable()) {
    if (seen.has(element.dataset.key)) continue;
    seen.add(element.dataset.key);
    const keys = document.createElement("dt");
    element.dataset.key.split(" ").forEach((key, at) => {
      const shown = document.createElement("kbd");
      shown.textContent = key;
      keys.append(at ? " " : "", shown);
    });
    const does = document.createElement("dd");
    does.textContent = element.dataset.does || element.getAttribute("aria-label") || element.textContent.trim();
    place.append(keys, does);
  }
  if (!seen.size) place.textContent = place.dataset.none;
  document.getElementById("keys-on").checked = allowed();
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const inside = field(event.target);
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && inside?.form) {
    event.preventDefault();
    const form = inside.form;
    form.requestSubmit(form.querySelector("[data-send]") ?? form.querySelector("button:not([type=button])"));
    return;
  }
  if (event.key === "Escape") {
    forget();
    if (inside && !inside.closest("dialog")) inside.blur();
    return;
  }
  if (inside || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  // The list is there also for whoever has switched keys off: how else would they switch them on?
  if (event.key === "?") { event.preventDefault(); list(); return; }
  if (event.key === " " || !allowed()) return;
  if (press(event.key, event.timeStamp)) event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "keys-on") return;
  if (event.target.checked) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "1");
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-opens=keys]")) list();
});
