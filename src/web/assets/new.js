// A new text: who may be meant, while a name is typed.

import { fetchPart } from "./fragment.js";

const PAUSE = 150; // ms after the last letter
const to = document.querySelector("#to[list=people]");

if (to) {
  const people = document.getElementById("people");
  let timer = 0;
  let turn = 0;
  const ask = async () => {
    const now = ++turn;
    const response = await fetchPart("/new/people", { method: "POST", body: new URLSearchParams({ to: to.value }) }).catch(() => null);
    // Only the newest answer counts.
    if (now === turn && response?.ok) people.innerHTML = await response.text();
  };
  to.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
}
