// The search page: results appear without leaving it, and coming back from a thread shows them again.

import { send } from "./fragment.js";

const form = document.getElementById("search");
const results = document.getElementById("results");
const KEPT = "search";

/** What was typed is kept in this tab alone, until it is closed or somebody signs out. */
function keep(form) {
  sessionStorage.setItem(KEPT, JSON.stringify([...new FormData(form)]));
}

let turn = 0;

/** Asks, and shows the answer: instead of the old one, or after it. While there is nothing to see, it asks on. */
async function show(asked, add, quiet = false) {
  const mine = ++turn;
  results.setAttribute("aria-busy", "true");
  const response = await send(asked).catch(() => null);
  if (mine !== turn) return;
  results.removeAttribute("aria-busy");
  if (response?.status === 401) return;
  if (!response?.ok) { HTMLFormElement.prototype.submit.call(asked); return; }
  const part = document.createRange().createContextualFragment(await response.text());
  const first = part.querySelector(".found a, button");
  const goesOn = part.querySelector("form.more[data-goes-on]");
  if (add) {
    results.querySelectorAll(".notice").forEach((notice) => notice.remove());
    asked.replaceWith(part);
    if (!quiet && !goesOn) first?.focus();
  } else results.replaceChildren(part);
  if (goesOn) show(goesOn, true, !add || quiet);
}

function restore() {
  const kept = sessionStorage.getItem(KEPT);
  const came = performance.getEntriesByType("navigation")[0]?.type;
  if (!kept || (came !== "back_forward" && came !== "reload")) return;
  for (const [name, value] of JSON.parse(kept)) {
    const field = form.elements[name];
    if (field?.type === "checkbox") field.checked = true;
    else if (field) field.value = value;
  }
  show(form, false);
}

if (form && results) {
  document.addEventListener("submit", (event) => {
    if (event.target === form) { event.preventDefault(); keep(form); show(form, false); }
    else if (event.target.matches("#results form.more")) { event.preventDefault(); show(event.target, true); }
  });
  restore();
}
document.addEventListener("signed-out", () => sessionStorage.removeItem(KEPT));
document.addEventListener("submit", (event) => {
  if (event.target.action?.endsWith("/sign-out")) sessionStorage.removeItem(KEPT);
});
