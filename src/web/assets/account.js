// One's own account: the browser asks for its own leave before it notifies, and it is said if it does not give it.

import { toast } from "./fragment.js";

document.addEventListener("change", async (event) => {
  const box = event.target;
  if (box.id !== "notifications" || !box.checked) return;
  if ("Notification" in window && (await Notification.requestPermission()) === "granted") return;
  box.checked = false;
  toast(box.dataset.blocked);
});
