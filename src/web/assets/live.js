// Live updates. One tab of a browser holds the stream and tells the others; each tells its page by events on `document`:
// live:queue, live:call, live:notice, live:thread and live:presence (detail.id), and live:again: fetch anew whatever you show.

const RETRY = 3000;      // after a stream that ended
const REFUSED = 30000;   // after one that was refused: too many, or signed out
const SILENT = 40000;    // the server says every 15 seconds that it is there
const SHOWN_AFTER = 4000;

const tabs = "BroadcastChannel" in window ? new BroadcastChannel("live") : null;
let source, heard = 0, again, offline, leads = false;

function tell(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(`live:${name}`, { detail }));
}

/** Tells this page and the other tabs. */
function tellAll(name, ids) {
  receive({ name, ids });
  tabs?.postMessage({ name, ids });
}

function receive({ name, ids }) {
  if (name === "offline") return showOffline(true);
  if (name === "online") return showOffline(false);
  if (name === "who") { if (leads) tabs.postMessage({ name: offline === undefined ? "online" : "offline" }); return; }
  if (name === "signed-in") { if (leads) open(); return; }
  if (name === "signed-out") return document.dispatchEvent(new CustomEvent("signed-out"));
  if (ids) for (const id of ids) tell(name, { id });
  else tell(name);
}

function showOffline(lost) {
  const note = document.getElementById("offline");
  if (!note) return;
  if (!lost) {
    clearTimeout(offline);
    offline = undefined;
    note.hidden = true;
  } else {
    // A gap of a moment, such as a restart, is nobody's concern.
    offline ??= setTimeout(() => { note.hidden = false; }, SHOWN_AFTER);
  }
}

function open() {
  clearTimeout(again);
  source?.close();
  source = new EventSource("/live");
  heard = Date.now();
  let first = true;
  source.addEventListener("beat", () => {
    heard = Date.now();
    if (!first) return;
    first = false;
    tellAll("online");
    tellAll("again");     // what happened before this stream began
  });
  for (const name of ["queue", "call", "notice", "again"]) source.addEventListener(name, () => { heard = Date.now(); tellAll(name); });
  for (const name of ["thread", "presence"]) {
    source.addEventListener(name, (event) => { heard = Date.now(); tellAll(name, JSON.parse(event.data).ids); });
  }
  source.addEventListener("signed-out", () => { source.close(); tellAll("signed-out"); });
  source.addEventListener("error", () => lost(source.readyState === EventSource.CLOSED ? REFUSED : RETRY));
}

function lost(wait) {
  source.close();
  tellAll("offline");
  clearTimeout(again);
  again = setTimeout(open, wait);
}

/** Holds the stream for as long as this tab lives. */
function lead() {
  leads = true;
  document.documentElement.dataset.live = "leads";
  open();
  setInterval(() => { if (source.readyState !== EventSource.CLOSED && Date.now() - heard > SILENT) open(); }, 5000);
  window.addEventListener("online", open);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Date.now() - heard > SILENT) open();
  });
  // A page that is kept for "back" must let another tab lead.
  window.addEventListener("pagehide", () => { clearTimeout(again); source.close(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  return new Promise(() => {});
}

if (document.body.dataset.person) {
  // The stream of a session that has ended is over, too.
  document.addEventListener("signed-in", () => tellAll("signed-in"));
  tabs?.addEventListener("message", (event) => receive(event.data));
  tabs?.postMessage({ name: "who" });
  // Locks need HTTPS or localhost; elsewhere each tab has its own stream.
  if (navigator.locks && tabs) navigator.locks.request("live", lead);
  else lead();
  let left = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) left = Date.now();
    else if (left && Date.now() - left > SILENT) tell("again");     // a sleeping tab may have missed what others heard
  });
  tell("again");
}
