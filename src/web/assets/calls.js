// Who is on the phone, as it is now; callers are answered and offered a text without leaving the page.
import { fetchPart, said, send, toast } from "./fragment.js";

const calls = document.getElementById("calls");
let due = 0;

async function look() {
  due = 0;
  const response = await fetchPart("/calls").catch(() => null);
  if (!response?.ok || response.redirected) return;
  const focused = calls.contains(document.activeElement) ? document.activeElement.id : "";
  calls.innerHTML = await response.text();
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** Soon, and once for everything until then. */
function soon() {
  due ||= setTimeout(look, 300);
}

if (calls) {
  for (const name of ["live:call", "live:again"]) document.addEventListener(name, soon);
  setInterval(soon, 10000);
  calls.addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const response = await send(form, event.submitter).catch(() => null);
    if (!response || response.status === 401) return;
    if (response.ok) toast(form.dataset.said);
    else await said(response);
    soon();
  });
}
