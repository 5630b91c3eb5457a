// A thread's page: its parts are fetched anew when something happens, and texts can be undone. The box to answer in is
// compose.js's.

import { fetchPart, heading, refresh, replace, said, send, toast, unreached } from "./fragment.js";

const page = document.getElementById("thread");

if (page) start(page.dataset.thread);

function start(id) {
  const base = `/threads/${id}`;
  const part = (name) => document.getElementById(name);
  const box = () => part("words");

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
  page.addEventListener("input", (event) => {
    if (event.target !== box() || typing) return;
    typing = true;
    here();
    typing = true; // at the next turn as well
  });
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
    if (form.dataset.busy) return;
    form.dataset.busy = "1";
    const response = await send(form, submitter).catch(() => null);
    delete form.dataset.busy;
    if (!response) return unreached();
    if (response.status === 401) return;
    if (answer) return answered(response);
    if (!response.ok) return said(response);
    if (form.dataset.said) toast(form.dataset.said);
    form.reset(); // said and done: no longer being filled in
    const undone = form.action.endsWith("/undo");
    const field = document.activeElement?.closest("#side :is(input, textarea, select)");
    if (field) { field.blur(); heading(field)?.focus(); }
    if (undone) await compose();
    look();
  });

  async function answered(response) {
    const fresh = await response.clone().text();
    if (!fresh.includes('id="answer"')) return said(response);
    replace(part("compose"), fresh);
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
    box()?.focus();
  }

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
