// One's own account: the browser asks for its own leave before it notifies.

document.addEventListener("change", async (event) => {
  const box = event.target;
  if (box.id !== "notifications" || !box.checked) return;
  if (!("Notification" in window) || (await Notification.requestPermission()) !== "granted") box.checked = false;
});
