// The picture with its movable divider: before on the left, after on the right.

import { el, freshId } from "./dom.js";

/**
 * Return { element, before, after, size, mark, part } of the picture.
 *
 * before and after are canvases; onLook({ i, j } or null, spoken) is told the pixel pointed at, or
 * moved to by arrow keys; size() fits the canvases; mark(pixel, side) draws the window's outline.
 */
export function photoPicture({ onLook }) {
  const [before, after] = [0, 1].map(() => el("canvas", { class: "photo-canvas", "aria-hidden": true }));
  const crop = el("div", { class: "photo-crop", hidden: true, title: "the part shown above" });
  const frame = el("div", { class: "photo-mark", hidden: true });
  const handle = el("div", { class: "photo-handle" });
  const help = freshId("photo-help");
  const stage = el("div", { class: "photo-stage", tabIndex: 0, role: "application",
    "aria-label": "Picture, before and after", "aria-describedby": help },
  before, after, el("span", { class: "photo-tag photo-tag-before", "aria-hidden": true }, "before"),
  el("span", { class: "photo-tag photo-tag-after", "aria-hidden": true }, "after"), crop, handle, frame);
  const range = el("input", { type: "range", id: freshId("divider"), min: 0, max: 100, step: 1,
    value: 50, onInput: () => divide(Number(range.value) / 100) });
  const element = el("figure", { class: "photo-figure" }, stage,
    el("p", { class: "visually-hidden", id: help },
      "Arrow keys move the pixel looked at, with Shift by ten; its sum is read aloud."),
    el("div", { class: "photo-divider" }, el("label", { class: "control-label",
      htmlFor: range.id }, "Before"), range, el("span", { class: "control-label",
      "aria-hidden": true }, "After")));
  let at = 0.5;
  let looked = null;
  let dragging = false;

  function divide(to) {
    at = Math.min(Math.max(to, 0), 1);
    range.value = Math.round(at * 100);
    range.style.setProperty("--share", `${at * 100}%`);
    stage.style.setProperty("--divide", `${at * 100}%`);
  }

  function size(width, height) {
    for (const canvas of [before, after]) Object.assign(canvas, { width, height });
    stage.style.aspectRatio = `${width} / ${height}`;
  }

  /** Outline what the other sections show: [row, column, height, width] as shares of the picture. */
  function part(shares) {
    crop.hidden = !shares;
    if (!shares) return;
    const [top, left, height, width] = shares.map((share) => `${100 * share}%`);
    Object.assign(crop.style, { top, left, height, width });
  }

  /** Draw the window's outline round a pixel; null takes it away. */
  function mark(pixel, side) {
    frame.hidden = !pixel;
    if (!pixel) return;
    const reach = (side - 1) / 2;
    const place = (pixels, count) => `${(100 * pixels) / count}%`;
    Object.assign(frame.style, { left: place(pixel.j - reach, before.width),
      top: place(pixel.i - reach, before.height), width: place(side, before.width),
      height: place(side, before.height) });
  }

  function pixelAt(event) {
    const { left, top, width, height } = stage.getBoundingClientRect();
    const within = (value, count) => Math.min(Math.max(Math.floor(value * count), 0), count - 1);
    return { i: within((event.clientY - top) / height, before.height),
      j: within((event.clientX - left) / width, before.width) };
  }

  function shareAt(event) {
    const { left, width } = stage.getBoundingClientRect();
    return (event.clientX - left) / width;
  }

  function look(pixel, spoken) {
    looked = pixel ?? looked;
    onLook(pixel, spoken);
  }

  stage.addEventListener("pointerdown", (event) => {
    const { width } = stage.getBoundingClientRect();
    dragging = Math.abs(shareAt(event) - at) * width < 18;
    if (dragging) stage.setPointerCapture(event.pointerId);
    else look(pixelAt(event), true);
  });
  stage.addEventListener("pointermove", (event) => {
    if (dragging) divide(shareAt(event));
    else look(pixelAt(event), false);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, () => { dragging = false; });
  }
  stage.addEventListener("keydown", (event) => {
    const [down, across] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1],
      ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    if (!down && !across) return;
    event.preventDefault();
    const from = looked ?? { i: Math.floor(before.height / 2), j: Math.floor(before.width / 2) };
    const step = event.shiftKey ? 10 : 1;
    const within = (value, count) => Math.min(Math.max(value, 0), count - 1);
    look({ i: within(from.i + down * step, before.height),
      j: within(from.j + across * step, before.width) }, true);
  });
  divide(at);
  return { element, before, after, size, mark, part };
}
