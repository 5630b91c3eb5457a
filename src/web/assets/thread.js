// A thread's page: its parts are fetched anew when something happens, what is typed is kept, and texts can be undone.

import { fetchPart, heading, refresh, replace, send, toast, unreached } from "./fragment.js";

const page = document.getElementById("thread");
// The GSM 7-bit alphabet and its extension table (3GPP TS 23.038 section 6.2.1), as the server counts by.
const BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED = "\f^{}\\[~]|€";

if (page) start(page.dataset.thread);

function start(id) {
  const base = `/threads/${id}`;
  const part = (name) => document.getElementById(name);
  const box = () => part("words");
  page.dataset.script = "";

  // What happens elsewhere.
  // Nobody looks at a page in the background: it fetches nothing, so that nothing counts as seen, until it is in sight.
  let missed = false;
  document.addEventListener("visibilitychange", () => { if (!document.hidden && missed) look(); });
  const look = () => {
    missed = document.hidden;
    if (missed) return;
    update();
    refresh(part("head"), `${base}/head`);
    side();
  };
  document.addEventListener("live:thread", (event) => { if (event.detail?.id === id) look(); });
  document.addEventListener("live:again", look);

  // Rows that are known are replaced, new ones put in their place: what was loaded of earlier times stays.
  let again = 0;
  let failures = 0;
  async function update() {
    clearTimeout(again);
    const response = await fetchPart(`${base}/timeline`).catch(() => null);
    if (!response?.ok) {
      // The event that told of it does not come again: asked anew, less and less often.
      failures = Math.min(failures + 1, 5);
      again = setTimeout(update, 1000 * 2 ** failures);
      return;
    }
    failures = 0;
    const html = await response.text();
    // Who reads the end goes on seeing it; who reads what was before, or works beside it, stays where they are.
    const end = [...part("timeline").querySelectorAll("ol.timeline > *")].at(-1)?.getBoundingClientRect();
    const near = !end || end.bottom > 0 && end.top < window.innerHeight && !part("side").contains(document.activeElement);
    const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("ol.timeline");
    const known = (row) => part("timeline").querySelector(`#${CSS.escape(row.id)}`);
    if (fresh.children.length && ![...fresh.children].some(known)) {
      // More has come than one page holds: what lies between is behind its "earlier".
      part("timeline").innerHTML = html;
      part("timeline").lastElementChild?.scrollIntoView({ block: "end" });
      return;
    }
    const list = [...part("timeline").querySelectorAll("ol.timeline")].at(-1);
    let before = null;
    for (const row of [...fresh.children]) {
      const old = known(row);
      // What somebody listens to goes on.
      const heard = [...(old?.querySelectorAll("audio") ?? [])].some((audio) => !audio.paused);
      // So does what somebody reads that the page itself only begins.
      const read = old?.querySelector("details.whole[open]");
      if (heard || read || old?.outerHTML === row.outerHTML) { before = old; continue; }
      if (old) old.replaceWith(row);
      else if (before) before.after(row);
      else list.append(row);
      before = row;
    }
    if (near) list.lastElementChild?.scrollIntoView({ block: "nearest" });
    // Somebody else's answer counts as seen unless one is being written: then "send" says who was first.
    const seen = document.querySelector("#answer [name=version]");
    if (seen && !box().value.trim()) seen.value = fresh.dataset.version;
  }

  // A form that somebody is filling in is left alone until they leave it. Looked at when the answer is here: they may
  // have begun meanwhile.
  const fields = () => [...part("side").querySelectorAll("input:not([type=hidden]), textarea")];
  const busy = () => part("side").contains(document.activeElement) && document.activeElement.matches("input, textarea, select")
    || fields().some((field) => field.type !== "checkbox" && field.type !== "radio" && field.value !== field.defaultValue);
  let late = false;
  async function side() {
    const response = await fetchPart(`${base}/side`).catch(() => null);
    if (!response?.ok) return;
    const html = await response.text();
    late = busy();
    if (late) return;
    const folds = () => [...part("side").querySelectorAll("details")];
    const open = folds().map((details) => details.open);
    replace(part("side"), html);
    folds().forEach((details, at) => { details.open ||= open[at] ?? false; });
    here();
  }
  page.addEventListener("focusout", () => setTimeout(() => { if (late && !busy()) side(); }));

  // Who is here.
  let typing = false;
  const here = () => {
    if (document.hidden) return;
    fetchPart(`${base}/presence`, { method: "POST", body: new URLSearchParams({ typing: typing ? "1" : "0" }) }).catch(() => {});
    typing = false;
  };
  const others = async () => {
    const response = await fetchPart(`${base}/presence`).catch(() => null);
    if (response?.ok && part("presence")) part("presence").innerHTML = await response.text();
  };
  document.addEventListener("live:presence", (event) => { if (event.detail?.id === id) others(); });
  setInterval(here, 15000);
  addEventListener("pagehide", () => {
    fetchPart(`${base}/presence`, { method: "POST", body: new URLSearchParams({ gone: "1" }), keepalive: true }).catch(() => {});
  });
  here();
  others();

  // Forms.
  page.addEventListener("submit", async (event) => {
    const form = event.target;
    const answer = form.id === "answer";
    if (!answer && !("quiet" in form.dataset)) return;
    event.preventDefault();
    const submitter = event.submitter;
    if (answer) clearTimeout(saving);
    if (form.dataset.busy) return;
    form.dataset.busy = "1";
    const response = await send(form, submitter).catch(() => null);
    delete form.dataset.busy;
    if (!response) return unreached();
    if (response.status === 401) return;
    if (answer) return answered(response, submitter);
    if (!response.ok) return said(response);
    if (form.dataset.said) toast(form.dataset.said);
    form.reset(); // said and done: no longer being filled in
    const undone = form.action.endsWith("/undo");
    const field = document.activeElement?.closest("#side :is(input, textarea, select)");
    if (field) { field.blur(); heading(field)?.focus(); }
    if (undone) await compose();
    look();
  });

  async function answered(response, submitter) {
    const to = submitter?.formAction ?? "";
    if (to.endsWith("/draft")) return;
    if (to.endsWith("/template") && response.ok) return put(await response.text());
    const fresh = await response.text();
    if (!fresh.includes('id="answer"')) return said({ statusText: response.statusText, text: async () => fresh });
    part("compose").innerHTML = fresh;
    count();
    box()?.focus();
    if (!response.ok) { document.getElementById("announce").textContent = document.querySelector("#compose [role=alert]")?.textContent ?? ""; return; }
    const undo = response.headers.get("x-undo");
    const say = document.documentElement.lang === "es";
    const span = 1000 * Number(response.headers.get("x-undo-for"));
    const note = undo && span > 0 && toast(say ? "Enviado." : "Sent.", { text: say ? "Deshacer" : "Undo", run: () => takeBack(undo) });
    if (note) setTimeout(() => note.remove(), span);
    look();
  }

  async function takeBack(url) {
    const response = await fetchPart(url, { method: "POST" }).catch(() => null);
    if (!response) return unreached();
    if (!response.ok) return said(response);
    await compose();
    look();
  }

  async function compose() {
    await refresh(part("compose"), base);
    count();
    box()?.focus();
  }

  async function said(response) {
    const answer = new DOMParser().parseFromString(await response.text(), "text/html");
    toast(answer.querySelector("[role=alert]")?.textContent ?? response.statusText);
  }

  // What is typed.
  let saving;
  page.addEventListener("input", (event) => {
    if (event.target.id !== "words") return;
    count();
    slash();
    if (!typing) { typing = true; here(); typing = true; }
    clearTimeout(saving);
    saving = setTimeout(save, 800);
  });
  const save = () => {
    const form = part("answer");
    if (!form) return;
    fetchPart(form.dataset.draft, { method: "POST", keepalive: true, body: new URLSearchParams({ body: box().value }) }).catch(() => {});
  };
  document.addEventListener("visibilitychange", () => { if (document.hidden && saving) { clearTimeout(saving); saving = null; save(); } });

  page.addEventListener("keydown", (event) => {
    if (event.target.id !== "words") return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      part("answer").requestSubmit(part("answer").querySelector("[value=send]"));
      return;
    }
    const list = part("messages");
    if (!list || list.hidden) return;
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
    }
  });
  page.addEventListener("click", (event) => {
    // Its key clicks it.
    if (event.target.id === "words") event.target.focus();
    const row = event.target.closest("#messages li");
    if (row) insert(row.dataset.name);
  });

  document.addEventListener("template", (event) => insert(event.detail));

  // Ready messages: "/" and what follows it, up to the cursor.
  const typed = () => box().value.slice(0, box().selectionStart).match(/(?:^|\s)\/([\p{L}\d_]*)$/u);
  function slash() {
    const found = typed();
    const list = part("messages");
    if (!list) return;
    if (!found) return hide();
    const wanted = found[1].toLowerCase().replaceAll("_", " ");
    const options = [...(part("template")?.options ?? [])].filter((option) => option.value && option.text.toLowerCase().includes(wanted));
    list.replaceChildren(...options.map((option, index) => {
      const row = document.createElement("li");
      row.role = "option";
      row.id = `message-${index}`;
      row.dataset.name = option.value;
      row.textContent = option.text;
      return row;
    }));
    list.hidden = options.length === 0;
    if (options.length) choose([...list.children], 0); else hide();
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
  async function insert(name) {
    hide();
    const found = typed();
    const end = box().selectionStart;
    const from = found ? end - found[1].length - 1 : end;
    const response = await fetchPart(`${base}/template`, { method: "POST", body: new URLSearchParams({ template: name, body: box().value }) }).catch(() => null);
    if (!response) return unreached();
    if (!response.ok) return said(response);
    box().setRangeText(await response.text(), from, end, "end");
    box().dispatchEvent(new Event("input", { bubbles: true }));
    box().focus();
  }
  function put(text) {
    const space = box().value && !/\s$/.test(box().value) ? " " : "";
    box().setRangeText(space + text, box().value.length, box().value.length, "end");
    box().dispatchEvent(new Event("input", { bubbles: true }));
    box().focus();
  }

  // What it costs: the same rules as `segments` in src/conversation/segments.rs.
  function count() {
    const line = part("count");
    if (!line || !box()) return;
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
  part("slash")?.removeAttribute("hidden");
  count();

  // Earlier pages and conversations, where they belong.
  page.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-earlier]");
    if (!link) return;
    event.preventDefault();
    const response = await fetchPart(link.href).catch(() => null);
    if (!response?.ok) return;
    const old = link.closest("p");
    const height = document.body.scrollHeight;
    old.insertAdjacentHTML("beforebegin", await response.text());
    old.remove();
    window.scrollBy(0, document.body.scrollHeight - height);
  });
  page.addEventListener("toggle", async (event) => {
    const details = event.target;
    if (!details.open || !details.dataset?.part) return;
    const url = details.dataset.part;
    delete details.dataset.part;
    const response = await fetchPart(url).catch(() => null);
    if (response?.ok) details.lastElementChild.insertAdjacentHTML("afterbegin", await response.text());
    else details.dataset.part = url;
  }, true);

  // What is scrolled to, by us or by the Tab key, is not to end up under the box.
  const makeRoom = () => {
    const box = part("compose");
    const over = getComputedStyle(box).position === "sticky" ? `${box.offsetHeight + 8}px` : "";
    document.documentElement.style.scrollPaddingBottom = over;
  };
  new ResizeObserver(makeRoom).observe(part("compose"));
  makeRoom();
  // A page opens at its end, as a conversation is read.
  if (!location.hash) part("timeline").lastElementChild?.lastElementChild?.scrollIntoView({ block: "end" });
}
