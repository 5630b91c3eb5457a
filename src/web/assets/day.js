// The day stays as it is now; what somebody has unfolded stays so.
import { fetchPart } from "./fragment.js";

const day = document.getElementById("day");
let due = 0;

async function refreshDay() {
  due = 0;
  const response = await fetchPart("/day").catch(() => null);
  if (!response?.ok || response.redirected) return;
  const open = [...day.querySelectorAll("details")].map((part) => part.open);
  const focused = [...day.querySelectorAll("summary")].indexOf(document.activeElement);
  day.innerHTML = await response.text();
  day.querySelectorAll("details").forEach((part, at) => { part.open = open[at] ?? false; });
  day.querySelectorAll("summary")[focused]?.focus({ preventScroll: true });
}

/** Soon, and once for everything until then. */
function soon() {
  due ||= setTimeout(refreshDay, 1000);
}

if (day) {
  for (const name of ["live:queue", "live:call", "live:again"]) document.addEventListener(name, soon);
  setInterval(soon, 20000);
}
