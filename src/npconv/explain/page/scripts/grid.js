// The grid: one tensor on a canvas, hovered, focused, walked with arrow keys, and edited.

import { el, freshId } from "./dom.js";
import { gridCellAt, gridCellBox, gridLayout, gridPadded, paintGrid } from "./grid-paint.js";
import { formatNumber } from "./numbers.js";

/**
 * Append a grid to host and return { element, draw, resize, focusCell, active, box, destroy }.
 *
 * view:
 *   label        text, or a function: what the tensor is ("x, the input")
 *   shape()      [channels, rows, columns]
 *   value(c, i, j)      the number; i, j lie outside the array for padded cells
 *   mark(c, i, j)       words apart by spaces: "hit", "window", "focus", "read" (outlines), "dim",
 *                       "hole" (no number is there), "cut", "unread" (dots in the corners)
 *   strength(c, i, j)   0 to 1 tints by the accent in place of the number's colour; null does not
 *   pad()        [[top, bottom], [left, right]]: padded cells drawn; negative ones are crossed out
 *   mode()       the padding mode, for the hatch
 *   caption(c)   the text above a plane
 *   format(number), scale() (the magnitude of the strongest colour), describe(cell) (read aloud)
 *   most, least, planes   cell size in CSS pixels (36, 15), planes a row; most and planes may be functions
 *   onHover(cell or null), onFocus(cell or null), onEdit(cell, number)   cell: { c, i, j, padded }
 *
 * draw() repaints in the next frame, whatever changed; resize() measures anew at once.
 */
export function createGrid(host, view) {
  const full = { mark: () => "", strength: null, pad: () => [[0, 0], [0, 0]], mode: () => "zeros",
    caption: null, format: null, scale: () => gridLargest(full), describe: null, ...view };
  const canvas = el("canvas", { class: "grid-canvas", "aria-hidden": true });
  // The grid is read aloud as one cell at a time; two take turns, so that each move is news.
  const cells = [0, 1].map(() => el("div", { class: "grid-cell", role: "gridcell", hidden: true }));
  const row = el("div", { role: "row" }, cells);
  const id = freshId("grid");
  const element = el("div", { class: "grid", role: "grid", id }, canvas, row);
  const box = el("div", { class: "grid-box" }, element);
  host.append(box);
  let layout = null;
  let active = { c: 0, i: 0, j: 0 };
  let shown = 0;
  let frame = 0;
  let hovered = "";
  let measured = "";

  const ratio = () => Math.min(Math.max(globalThis.devicePixelRatio || 1, 1), 3);
  const inside = ({ c, i, j }) => ({ c, i, j, padded: gridPadded(layout, i, j) });

  const planes = () => (typeof full.planes === "function" ? full.planes() : full.planes);
  const most = () => (typeof full.most === "function" ? full.most() : full.most);
  const key = () => JSON.stringify([full.shape(), full.pad(), planes(), most(), box.clientWidth]);

  function paint() {
    frame = 0;
    if (!layout || measured !== key()) {
      resize();
      cancelAnimationFrame(frame);
      frame = 0;
    }
    if (!layout || measured !== key()) return; // hidden: measured and painted once it is shown
    const [width, height] = [layout.width, layout.height].map((side) => Math.round(side * ratio()));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    paintGrid(canvas.getContext("2d"), layout, full, ratio());
    place(false);
  }

  function draw() {
    if (!frame) frame = requestAnimationFrame(paint);
  }

  function resize() {
    const available = box.clientWidth;
    if (!available) return;
    measured = key();
    layout = gridLayout({ shape: full.shape(), pad: full.pad(), captions: Boolean(full.caption),
      available, most: most(), least: full.least, planes: planes() });
    element.style.width = `${layout.width}px`;
    element.style.height = `${layout.height}px`;
    active = clamp(active);
    const label = typeof full.label === "function" ? full.label() : full.label;
    element.setAttribute("aria-label", label);
    element.setAttribute("aria-rowcount", layout.rows);
    element.setAttribute("aria-colcount", layout.columns);
    if (full.onEdit) element.removeAttribute("aria-readonly");
    else element.setAttribute("aria-readonly", "true");
    place(false);
    if (!frame) frame = requestAnimationFrame(paint);
  }

  function clamp({ c, i, j }) {
    const { first, rows, columns, planes } = layout;
    const within = (value, least, count) => Math.min(Math.max(value, least), least + count - 1);
    return { c: within(c, 0, planes), i: within(i, first[0], rows), j: within(j, first[1], columns) };
  }

  /** Lay the focusable cell over the active one; move: give it the focus. */
  function place(move) {
    const focused = cells[shown] === document.activeElement;
    if (move) {
      cells[1 - shown].hidden = false;
      shown = 1 - shown;
    }
    const node = cells[shown];
    const { x, y, size } = gridCellBox(layout, active.c, active.i, active.j);
    node.hidden = false;
    node.tabIndex = 0;
    Object.entries({ left: x, top: y, width: size, height: size }).forEach(([key, length]) => {
      node.style[key] = `${length}px`;
    });
    row.setAttribute("aria-rowindex", active.i - layout.first[0] + 1);
    node.setAttribute("aria-colindex", active.j - layout.first[1] + 1);
    node.setAttribute("aria-label", describe());
    if (!move) return;
    node.focus({ preventScroll: true });
    node.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    if (!focused || cells[1 - shown] !== node) cells[1 - shown].hidden = true;
  }

  function describe() {
    if (full.describe) return full.describe(inside(active));
    const { c, i, j } = active;
    const plane = layout.planes > 1 ? `channel ${c}, ` : "";
    const about = gridPadded(layout, i, j) ? ", padding" : "";
    return `${plane}row ${i}, column ${j}${about}: ${formatNumber(full.value(c, i, j))}`;
  }

  function focusCell(c, i, j) {
    if (!layout) resize();
    if (!layout) return;
    active = clamp({ c, i, j });
    place(true);
    full.onFocus?.(inside(active));
  }

  function keydown(event) {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const { c, i, j } = active;
    const { first, rows, columns } = layout;
    const to = { ArrowUp: [c, i - 1, j], ArrowDown: [c, i + 1, j], ArrowLeft: [c, i, j - 1],
      ArrowRight: [c, i, j + 1], Home: [c, i, first[1]], End: [c, i, first[1] + columns - 1],
      PageUp: [c - 1, i, j], PageDown: [c + 1, i, j] }[event.key];
    if (to) {
      event.preventDefault();
      const { [0]: plane, [1]: down, [2]: across } = to;
      const stays = clamp({ c: plane, i: down, j: across });
      if (stays.c !== c || stays.i !== i || stays.j !== j) focusCell(plane, down, across);
    } else if (full.onEdit && rows && /^(Enter|F2|[-\d.])$/.test(event.key)) {
      event.preventDefault();
      edit(/^[-\d.]$/.test(event.key) ? event.key : null);
    }
  }

  /** Open an input over the active cell; typed is what the first key wrote. */
  function edit(typed) {
    if (gridPadded(layout, active.i, active.j)) return;
    const { c, i, j } = active;
    const input = el("input", { class: "grid-input", type: "text", inputmode: "decimal",
      "aria-label": `New number: ${describe()}`, value: typed ?? String(full.value(c, i, j)) });
    const { left, top, width, height } = cells[shown].style;
    Object.assign(input.style, { left, top, minWidth: width, height });
    let open = true;
    const close = (keep, back) => {
      if (!open) return;
      open = false;
      const number = Number(input.value.trim().replace("−", "-").replace(",", "."));
      input.remove();
      if (keep && input.value.trim() !== "" && Number.isFinite(number)) {
        full.onEdit({ c, i, j, padded: false }, number);
      }
      if (back) focusCell(c, i, j);
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") close(true, true);
      if (event.key === "Escape") close(false, true);
    });
    input.addEventListener("blur", () => close(true, false));
    box.append(input);
    input.focus();
    if (typed === null) input.select();
  }

  function at(event) {
    if (!layout) return null;
    const { left, top } = canvas.getBoundingClientRect();
    return gridCellAt(layout, event.clientX - left, event.clientY - top);
  }

  function hover(cell) {
    const name = cell ? `${cell.c},${cell.i},${cell.j}` : "";
    if (name === hovered) return;
    hovered = name;
    full.onHover?.(cell);
  }

  element.addEventListener("pointermove", (event) => hover(at(event)));
  element.addEventListener("pointerleave", () => hover(null));
  element.addEventListener("pointerdown", (event) => {
    const cell = at(event);
    if (!cell || event.target.tagName === "INPUT") return;
    event.preventDefault();
    focusCell(cell.c, cell.i, cell.j);
  });
  element.addEventListener("dblclick", () => { if (full.onEdit) edit(null); });
  element.addEventListener("keydown", keydown);
  element.addEventListener("focusin", (event) => {
    if (cells.includes(event.target) && event.relatedTarget?.parentNode !== row) {
      full.onFocus?.(inside(active));
    }
  });
  element.addEventListener("focusout", (event) => {
    if (!box.contains(event.relatedTarget)) full.onFocus?.(null);
  });
  const watcher = new ResizeObserver(() => { if (measured !== key()) resize(); });
  watcher.observe(box);
  document.addEventListener("themechange", draw);
  resize();
  return { element, draw, resize, focusCell, active: () => ({ ...active }),
    box: (c, i, j) => layout && gridCellBox(layout, c, i, j),
    destroy: () => {
      watcher.disconnect();
      document.removeEventListener("themechange", draw);
      box.remove();
    } };
}

/** The largest magnitude among the array's own cells; 1 where all are zero. */
function gridLargest({ shape, value }) {
  const [channels, rows, columns] = shape();
  let most = 0;
  for (let c = 0; c < channels; c += 1) {
    for (let i = 0; i < rows; i += 1) {
      for (let j = 0; j < columns; j += 1) {
        const size = Math.abs(value(c, i, j));
        if (size > most && size !== Infinity) most = size;
      }
    }
  }
  return most || 1;
}
