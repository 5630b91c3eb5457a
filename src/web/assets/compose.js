// The box that a text is written in, in a thread and to somebody new: what the text costs, drafts that are saved, ready
// messages at "/". What a press of "send" does is the page's own affair.

import { fetchPart, said, unreached } from "./fragment.js";

const PAUSE = 800; // ms after the last letter until the draft is saved
// The GSM 7-bit alphabet and its extension table (3GPP TS 23.038 section 6.2.1), as the server counts by.
const BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED = "\f^{}\\[~]|€";

const place = document.getElementById("compose");
const part = (name) => document.getElementById(name);
const box = () => part("words");

/** Sends what is written to an address below the box's own. */
function post(name, fields, options) {
  const { dataset, elements } = part("answer");
  const body = new URLSearchParams({ body: box().value, form: elements.form.value, ...fields });
  return fetchPart(`${dataset.place}/${name}`, { method: "POST", body, ...options });
}

// What it costs: the same rules as `segments` in src/conversation/segments.rs.
function count() {
  const line = part("count");
  if (!line) return;
  const all = [...box().value];
  const odd = all.find((c) => !BASIC.includes(c) && !EXTENDED.includes(c));
  const costs = all.map((c) => (odd ? c.length : BASIC.includes(c) ? 1 : 2));
  const [alone, each] = odd ? [70, 67] : [160, 153];
  let segments = 1;
  if (costs.reduce((sum, cost) => sum + cost, 0) > alone) {
    let used = 0;
    for (const cost of costs) { if (used + cost > each) { segments += 1; used = 0; } used += cost; }
  }
  const over = all.length - Number(box().dataset.most);
  const shape = segments === 1 ? line.dataset.one : line.dataset.count.replace("2", segments);
  let text = shape.replace("0", all.length);
  if (odd) text += `. ${line.dataset.forced.replace("\ufffd", odd)}`;
  if (over > 0) text += `. ${line.dataset.long.replace("0", over)}`;
  line.textContent = text;
  line.classList.toggle("over", over > 0);
}

/** The box has just come: one goes on behind what is written. */
function come() {
  box()?.setSelectionRange(box().value.length, box().value.length);
  count();
}

// Drafts.
let saving = 0;
function save() {
  clearTimeout(saving);
  saving = 0;
  if (box()) post("draft", {}, { keepalive: true }).catch(() => {});
}

// Ready messages: "/" and what follows it, up to the cursor.
const typed = () => box().value.slice(0, box().selectionStart).match(/(?:^|\s)\/([\p{L}\d_]*)$/u);

function offer() {
  const found = typed();
  if (!found) return hide();
  const wanted = found[1].toLowerCase().replaceAll("_", " ");
  const options = [...(part("template")?.options ?? [])].filter((option) => option.value && option.text.toLowerCase().includes(wanted));
  if (!options.length) return hide();
  const rows = options.map((option, index) => {
    const row = document.createElement("li");
    row.role = "option";
    row.id = `message-${index}`;
    row.dataset.name = option.value;
    row.textContent = option.text;
    return row;
  });
  part("messages").replaceChildren(...rows);
  part("messages").hidden = false;
  choose(rows, 0);
}

function choose(rows, at) {
  rows.forEach((row, index) => { row.ariaSelected = String(index === at); });
  box().setAttribute("aria-activedescendant", rows[at].id);
  rows[at].scrollIntoView({ block: "nearest" });
}

function hide() {
  part("messages").hidden = true;
  box().removeAttribute("aria-activedescendant");
}

/** Puts a message where one types, in place of the "/" that asked for it; what else is written stays. */
async function insert(name) {
  hide();
  const field = box();
  const end = field.selectionStart;
  const found = typed();
  const from = found ? end - found[1].length - 1 : end;
  const response = await post("template", { template: name }).catch(() => null);
  if (!response) return unreached();
  if (!response.ok) return said(response);
  const gap = from > 0 && !/\s/.test(field.value[from - 1]) ? " " : "";
  field.setRangeText(gap + await response.text(), from, end, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

function pressed(event) {
  const list = part("messages");
  // With Ctrl it is sent, whatever is offered.
  if (!list || list.hidden || ![box(), list].includes(event.target) || event.ctrlKey || event.metaKey) return;
  const rows = [...list.children];
  const at = rows.findIndex((row) => row.ariaSelected === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    choose(rows, (at + (event.key === "ArrowDown" ? 1 : rows.length - 1)) % rows.length);
  } else if (event.key === "Enter" || event.key === "Tab") {
    event.preventDefault();
    if (rows[at]) insert(rows[at].dataset.name);
  } else if (event.key === "Escape") {
    event.stopPropagation();
    hide();
    box().focus();
  }
}

if (place) {
  place.dataset.script = "";
  place.addEventListener("keydown", pressed);
  place.addEventListener("click", (event) => {
    const row = event.target.closest("#messages li");
    if (row) insert(row.dataset.name);
  });
  place.addEventListener("input", (event) => {
    if (event.target !== box()) return;
    count();
    offer();
    clearTimeout(saving);
    saving = setTimeout(save, PAUSE);
  });
  place.addEventListener("refreshed", come);
  document.addEventListener("template", (event) => { if (box()) insert(event.detail); });
  // What is sent is no draft any more: a page that is left by it saves nothing on the way.
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "answer") return;
    clearTimeout(saving);
    if (!event.defaultPrevented) saving = 0;
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden && saving) save(); });
  come();
}
