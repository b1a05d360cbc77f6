// Copying text: a button that says so when it is done.

import { announce, button } from "./dom.js";

/** Put text on the clipboard; return whether that was possible. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

/** The old way, for pages that may not write to the clipboard. */
function copySelected(text) {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand?.("copy") ?? false;
  area.remove();
  before?.focus?.({ preventScroll: true });
  return done;
}

/** Return a button that copies what getText() returns; news ("Call copied.") is read aloud. */
export function copyButton(label, getText, news, props = {}) {
  let timer = 0;
  const node = button(label, async () => {
    const done = await copyText(getText());
    announce(done ? news : "The browser does not allow copying here.");
    node.textContent = done ? "Copied" : "Not allowed";
    clearTimeout(timer);
    timer = setTimeout(() => { node.textContent = label; }, 1800);
  }, props);
  return node;
}
