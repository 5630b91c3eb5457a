// A patient's phone: texts appear by themselves, and Enter sends.

import { fetchPart, send } from "./fragment.js";

const texts = document.getElementById("texts");
const answer = document.getElementById("answer");
const EVERY = 1500; // ms

let shown = "";

function put(part) {
  if (part === shown) return;
  shown = part;
  texts.innerHTML = part;
  texts.scrollTop = texts.scrollHeight;
}

async function look() {
  if (!document.hidden) {
    const number = new URLSearchParams({ number: answer.elements.number.value });
    const response = await fetchPart("/phone", { method: "POST", body: number }).catch(() => null);
    if (response?.ok) put(await response.text());
  }
  setTimeout(look, EVERY);
}

async function submit() {
  const field = answer.elements.body;
  if (!field.value.trim()) return;
  const response = await send(answer).catch(() => null);
  if (!response?.ok) return HTMLFormElement.prototype.submit.call(answer);
  field.value = "";
  // Of a form that is sent twice the second is dropped; this is another text.
  answer.elements.once.value = crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();
  put(await response.text());
  field.focus();
}

if (texts && answer) {
  shown = texts.innerHTML;
  texts.scrollTop = texts.scrollHeight;
  answer.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  answer.elements.body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
  });
  setTimeout(look, EVERY);
}
