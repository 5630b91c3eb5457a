// What stands at the top of every page, as it is now.
import { fetchPart, send } from "./fragment.js";

const notices = document.getElementById("notices");

async function look() {
  const response = await fetchPart("/notices").catch(() => null);
  if (!response?.ok || response.redirected) return;
  const fresh = await response.text();
  if (notices.innerHTML !== fresh) notices.innerHTML = fresh;
}

if (notices) {
  document.addEventListener("live:notice", look);
  document.addEventListener("live:again", look);
  notices.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await send(event.target, event.submitter).catch(() => null);
    if (response?.ok) look();
  });
}
