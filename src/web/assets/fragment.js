// Parts of pages, fetched and put in place of the old ones; what every other script uses.

/** Fetches `url` as a part of a page. A session that has ended is told by the event "signed-out" on `document`. */
export async function fetchPart(url, options = {}) {
  const response = await fetch(url, {
    ...options,
    headers: { "X-Fragment": "1", ...(options.headers ?? {}) },
    credentials: "same-origin",
  });
  if (response.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  return response;
}

/** Replaces `element` by what the server says of it now. */
export async function refresh(element, url) {
  const response = await fetchPart(url);
  if (!response.ok) return false;
  replace(element, await response.text());
  return true;
}

/** Replaces what is in `element` and keeps the focus where it was: on the same thing or, where that is gone, on the
 * heading above it. */
export function replace(element, html) {
  const at = element.contains(document.activeElement) ? document.activeElement : null;
  element.innerHTML = html;
  if (at && !element.contains(document.activeElement)) (sameAs(at, element) ?? heading(at))?.focus();
  element.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
}

/** What stands in `element` for something that stood there before: by its id, else by what it says and does. */
function sameAs(old, element) {
  if (old.id) return old.matches("h2") ? heading(old) : document.getElementById(old.id);
  const does = (one) => `${one.textContent} ${one.ariaLabel} ${one.form?.action} ${one.href}`;
  return [...element.querySelectorAll(old.localName)].find((one) => does(one) === does(old));
}

/** The heading of the section that something stands in, made fit for the focus: the next Tab goes on from there. */
export function heading(inside) {
  const title = document.getElementById(inside.closest("section")?.getAttribute("aria-labelledby"));
  if (title) title.tabIndex = -1;
  return title;
}

/** Sends a form without leaving the page; resolves to the response. */
export function send(form, submitter) {
  const data = new FormData(form, submitter);
  const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
  // A button without an address of its own says the page's.
  const to = submitter?.hasAttribute("formaction") ? submitter.formAction : form.action;
  return fetchPart(to, { method: "POST", body });
}

/** Says that what was done did not get through. */
export const unreached = () => toast(document.getElementById("toasts").dataset.unreached);

/** Says what the page says that the server refused something with. */
export async function said(response) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  toast(page.querySelector("[role=alert]")?.textContent ?? response.statusText);
}

/** Says something to people who listen and to people who look. `action` may be { text, run }. */
export function toast(text, action) {
  document.getElementById("announce").textContent = text;
  const note = document.createElement("div");
  note.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  note.append(words);
  const gone = setTimeout(() => note.remove(), action ? 12000 : 6000);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = action.text;
    button.addEventListener("click", () => { clearTimeout(gone); note.remove(); action.run(); });
    note.append(button);
  }
  document.getElementById("toasts").append(note);
  return note;
}
