// The file editor: goes to a line, and asks before a text is lost that was not published.

const source = document.querySelector("textarea.source");
if (source) {
  const goTo = (line) => {
    const before = source.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const end = source.value.indexOf("\n", before);
    source.focus();
    source.setSelectionRange(before, end < 0 ? source.value.length : end);
    const height = parseFloat(getComputedStyle(source).lineHeight);
    source.scrollTop = Math.max(0, (line - 4) * height);
  };
  if (source.dataset.line) goTo(Number(source.dataset.line));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-to-line]");
    if (!link) return;
    event.preventDefault();
    goTo(Number(link.dataset.toLine));
  });

  let changed = false;
  source.addEventListener("input", () => { changed = true; });
  source.form.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}
