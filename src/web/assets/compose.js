// A new text: who may be meant while a name is typed, and what the text costs.

import { fetchPart } from "./fragment.js";

const PAUSE = 150; // ms after the last letter
const to = document.querySelector("#compose #to");
const body = document.querySelector("#compose #body");

/** Asks the server about a field once its typing pauses, and puts the newest answer into `place`. */
function follow(field, address, name, place) {
  let timer = 0;
  let turn = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const now = ++turn;
      const asked = new URLSearchParams({ [name]: field.value });
      const response = await fetchPart(address, { method: "POST", body: asked }).catch(() => null);
      if (now === turn && response?.ok) place.innerHTML = await response.text();
    }, PAUSE);
  });
}

if (to) follow(to, "/new/people", "to", document.getElementById("people"));
if (body) follow(body, "/new/count", "body", document.getElementById("cost"));
