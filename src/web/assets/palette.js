// The command palette: what this page can do, where one can go, and what the server finds. A combobox with a list
// (ARIA Authoring Practices): the focus stays in the field, the arrows move the choice.

import { fetchPart } from "./fragment.js";

const PAUSE = 120; // ms after the last letter
const dialog = document.getElementById("palette");
const field = document.getElementById("palette-field");
const list = document.getElementById("palette-list");
const opener = document.getElementById("open-palette");

let actions = [];
let asked = 0;
let timer = 0;
let back = null;

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const options = () => [...list.querySelectorAll("[role=option]")];

/** The buttons and links of this page that say what they do, and its sections. */
function gather() {
  const seen = new Set();
  const take = (element, name, group) => {
    const key = plain(name);
    if (!name || seen.has(key)) return null;
    seen.add(key);
    return { element, name, group, key: element.dataset.key };
  };
  const usable = (element) => !element.disabled && element.checkVisibility() && !element.closest("dialog");
  const here = [...document.querySelectorAll("main [data-does]")].filter(usable)
    .map((element) => take(element, element.dataset.does, dialog.dataset.here));
  const links = [...document.querySelectorAll(".shell nav a, .shell .who a")]
    .map((element) => take(element, element.textContent.trim(), dialog.dataset.go));
  return [...here, ...links].filter(Boolean);
}

function show(part) {
  const wanted = plain(field.value.trim()).split(/\s+/);
  const fits = actions.filter(({ name }) => wanted.every((word) => plain(name).includes(word)));
  const groups = new Map();
  for (const action of fits) groups.set(action.group, [...(groups.get(action.group) ?? []), action]);
  list.replaceChildren();
  let at = 0;
  for (const [name, all] of groups) {
    const group = document.createElement("div");
    group.setAttribute("role", "group");
    const label = document.createElement("span");
    label.id = `palette-group-${at++}`;
    label.textContent = name;
    group.setAttribute("aria-labelledby", label.id);
    group.append(label);
    for (const action of all) {
      const option = document.createElement("div");
      option.setAttribute("role", "option");
      option.textContent = action.name;
      option.run = () => (action.element.matches("input, textarea, select") ? action.element.focus() : action.element.click());
      if (action.key) { const key = document.createElement("kbd"); key.textContent = action.key; option.append(key); }
      group.append(option);
    }
    list.append(group);
  }
  if (part) list.append(document.createRange().createContextualFragment(part));
  options().forEach((option, index) => { option.id = `palette-option-${index}`; option.setAttribute("aria-selected", "false"); });
  const count = options().length;
  if (!count && field.value) {
    const none = document.createElement("p");
    none.className = "hint";
    none.textContent = dialog.dataset.nothing;
    list.append(none);
  }
  document.getElementById("palette-count").textContent =
    count ? `${count} ${dialog.dataset.results}` : dialog.dataset.nothing;
  choose(0);
}

function choose(index) {
  const all = options();
  if (!all.length) { field.removeAttribute("aria-activedescendant"); return; }
  const at = (index + all.length) % all.length;
  all.forEach((option, here) => option.setAttribute("aria-selected", String(here === at)));
  field.setAttribute("aria-activedescendant", all[at].id);
  all[at].scrollIntoView({ block: "nearest" });
}

const chosen = () => options().findIndex((option) => option.getAttribute("aria-selected") === "true");

async function ask() {
  const turn = ++asked;
  if (!field.value.trim()) { show(""); return; }
  const body = new URLSearchParams({ q: field.value });
  const response = await fetchPart("/palette", { method: "POST", body }).catch(() => null);
  // Only the answer to what is in the field now counts.
  if (turn === asked && response?.ok) show(await response.text());
}

function post(address, name, value) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = address;
  const input = document.createElement("input");
  input.type = "hidden";
  input.name = name;
  input.value = value;
  form.append(input);
  document.body.append(form);
  form.submit();
}

function take(option) {
  if (!option) return;
  back = null;
  dialog.close();
  const { href, post: address, field: name, value, template } = option.dataset;
  if (option.run) option.run();
  else if (href) location.assign(href);
  else if (address) post(address, name, value);
  else if (template) {
    // Into the answer that is being written, where there is one.
    const choice = [...(document.getElementById("template")?.options ?? [])].some((known) => known.value === template);
    if (choice) document.dispatchEvent(new CustomEvent("template", { detail: template }));
    else location.assign(`/new?template=${encodeURIComponent(template)}`);
  }
}

function open() {
  if (dialog.open || document.querySelector("dialog[open]")) return;
  back = document.activeElement;
  actions = gather();
  field.value = "";
  dialog.showModal();
  show("");
  field.focus();
}

if (dialog) {
  opener.hidden = false;
  if (/Mac|iPhone|iPad/.test(navigator.platform)) opener.querySelector("kbd").textContent = "⌘ K";
  opener.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (dialog.open) dialog.close();
      else open();
    }
  });
  field.addEventListener("input", () => {
    clearTimeout(timer);
    // At once what is known here: whoever types and presses Enter gets what they typed.
    asked += 1;
    show("");
    timer = setTimeout(ask, PAUSE);
  });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); choose(chosen() + step); }
    else if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); take(options()[chosen()]); }
  });
  list.addEventListener("mousemove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && option.getAttribute("aria-selected") !== "true") choose(options().indexOf(option));
  });
  list.addEventListener("click", (event) => take(event.target.closest("[role=option]")));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { asked += 1; back?.focus?.(); });
}
