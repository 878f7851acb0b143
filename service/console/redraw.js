// Screens that go on by themselves.

import { errorBox } from "./dom.js";

const EVERY_MS = 5000;

// Calls `draw` again and again until `signal` is aborted, each time so long after the last one has ended. An error is
// shown in `failed` until it works again. A hidden page asks nothing; one that is shown again is drawn at once.
export function redraw(draw, failed, signal) {
  let timer;
  let drawing = false;
  async function again() {
    clearTimeout(timer);
    if (drawing || document.hidden) return;
    drawing = true;
    try {
      await draw();
      failed.replaceChildren();
    } catch (error) {
      if (!signal.aborted) failed.replaceChildren(errorBox(error));
    }
    drawing = false;
    if (!signal.aborted) timer = setTimeout(again, EVERY_MS);
  }
  timer = setTimeout(again, EVERY_MS);
  document.addEventListener("visibilitychange", again, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
}
