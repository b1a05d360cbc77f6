// The pictures of the algorithms' panels: matrices of any size, and a tensor's planes, as wide as they
// want to be.

import { createGrid } from "./grid.js";
import { el } from "./dom.js";
import { formatNumber } from "./numbers.js";

/**
 * Append a matrix to host and return { draw, resize, show, element }.
 *
 * view: label, rows(), columns(), value(r, k), mark(r, k), and optionally format, scale, describe,
 * strength, most, least, onPoint({ r, k } or null), limit [rows, columns] drawn at once. A larger
 * matrix shows the part round the last row and column shown; a line below says which.
 */
export function algMatrix(host, view) {
  const [mostRows, mostColumns] = view.limit ?? [24, 40];
  let [top, left] = [0, 0];
  const place = el("p", { class: "alg-place", hidden: true });
  const count = (all, most) => Math.min(all, most);
  const point = (cell) => view.onPoint?.(cell && { r: cell.i + top, k: cell.j + left });
  algWiden(host, count(view.columns(), mostColumns) * (view.most ?? 24) + 8);
  const grid = createGrid(host, {
    label: view.label,
    shape: () => [1, count(view.rows(), mostRows), count(view.columns(), mostColumns)],
    value: (_, i, j) => view.value(i + top, j + left),
    mark: (_, i, j) => (view.mark ? view.mark(i + top, j + left) : ""),
    ...(view.strength ? { strength: (_, i, j) => view.strength(i + top, j + left) } : {}),
    format: view.format ?? null,
    ...(view.scale ? { scale: view.scale } : {}),
    most: view.most ?? 24,
    least: view.least ?? 11,
    describe: ({ i, j }) => (view.describe ?? algSaid(view))(i + top, j + left),
    onHover: point,
    onFocus: (cell) => cell && point(cell),
  });
  host.append(place);
  // At the edge of what is drawn the arrows move what is drawn.
  grid.element.addEventListener(
    "keydown",
    (event) => {
      const { i, j } = grid.active();
      const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[
        event.key
      ] ?? [0, 0];
      const edge = (at, step, most) => step && at === (step > 0 ? most - 1 : 0);
      const [rows, columns] = [view.rows(), view.columns()];
      const moved = [top, left].map((start, axis) => {
        const [at, step, most, all] = axis ? [j, right, mostColumns, columns] : [i, down, mostRows, rows];
        return edge(at, step, most) ? Math.max(Math.min(start + step, all - most), 0) : start;
      });
      if (moved[0] === top && moved[1] === left) return;
      [top, left] = moved;
      event.preventDefault();
      event.stopImmediatePropagation();
      said();
      grid.draw();
      point({ i, j });
    },
    true,
  );
  const said = () => {
    const [rows, columns] = [view.rows(), view.columns()];
    const parts = [];
    if (rows > mostRows) parts.push(`rows ${top} to ${top + mostRows - 1} of ${rows}`);
    if (columns > mostColumns) parts.push(`columns ${left} to ${left + mostColumns - 1} of ${columns}`);
    const text = parts.length ? `Shown: ${parts.join(", ")}` : "";
    if (place.textContent === text) return;
    place.textContent = text;
    place.hidden = !text;
  };
  const within = (start, at, all, most) => {
    const fits = at < start || at >= start + most ? at - Math.floor(most / 3) : start;
    return Math.max(Math.min(fits, all - most), 0);
  };
  said();
  return {
    element: grid.element,
    draw: grid.draw,
    resize: () => {
      [top, left] = [0, 0];
      said();
      grid.resize();
    },
    /** Move the part that is drawn so that row r and column k are in it, and draw. */
    show: (r, k = left) => {
      top = within(top, r, view.rows(), mostRows);
      left = within(left, k, view.columns(), mostColumns);
      said();
      grid.draw();
    },
  };
}

function algSaid(view) {
  return (r, k) => `row ${r}, column ${k}: ${formatNumber(view.value(r, k))}`;
}

const ALG_TALL = 760; // CSS pixels that planes one under the other may take
const ALG_BETWEEN = 38; // from one plane to the next
const ALG_READABLE = 17; // of a cell
const ALG_LEAST = 15; // of a cell that has its number in it
const ALG_PHONE = 560; // of a panel's width, below which all planes stand side by side

/** Return the grid of a tensor's planes in a part, which becomes as wide as they want to be. */
export function algPlanes(part, view, across = 0) {
  const [count, height, width] = view.shape();
  const [[top, bottom], [left, right]] = (
    view.pad
      ? view.pad()
      : [
          [0, 0],
          [0, 0],
        ]
  ).map((pair) => pair.map((side) => Math.max(side, 0)));
  const [rows, columns] = [height + top + bottom, width + left + right];
  const available = (part.element.parentElement?.clientWidth ?? ALG_TALL) - 8;
  const narrow = available < ALG_PHONE && algBeside(available, columns, count);
  // One under the other at a size that can be read; else some beside each other.
  const below = Math.min(view.most, Math.floor((ALG_TALL / count - ALG_BETWEEN) / rows));
  const most = narrow
    ? Math.min(narrow.cell, view.most)
    : across || below < ALG_READABLE
      ? view.most
      : below;
  const beside = Math.ceil((count * (rows * most + ALG_BETWEEN)) / ALG_TALL);
  const planes = Math.min(narrow ? narrow.planes : across || beside, count);
  algWiden(part.element, planes * (columns * most + 18) - 10);
  return createGrid(part.element, { ...view, most, planes });
}

/** Return { planes, cell }: the most planes beside each other whose numbers can be read, or all of them. */
function algBeside(available, columns, count) {
  const cell = (planes) => Math.floor((available - (planes - 1) * 18) / (planes * columns));
  for (let planes = count; planes > 0; planes -= 1)
    if (cell(planes) >= ALG_LEAST) return { planes, cell: cell(planes) };
  return { planes: 1, cell: Math.max(cell(1), 5) };
}

/** Make a part as wide as its picture wants to be; the page's width is the limit. */
function algWiden(element, width) {
  const known = Number.parseFloat(element.style.width) || 0;
  element.style.width = `${Math.max(width, known)}px`;
}

/** Return x's planes of a model as createGrid's view; more overrides. */
export function algInputView(model, more = {}) {
  return {
    label: () =>
      `x${
        model()
          .problem.padding.flat()
          .some((side) => side > 0)
          ? ", padded"
          : ""
      }`,
    shape: () => [model().channels, ...model().problem.size],
    value: (c, i, j) => model().padded(c, i, j),
    pad: () => model().problem.padding,
    mode: () => model().problem.mode,
    caption: (c) => `x, channel ${model().firstChannel + c}`,
    most: 20,
    least: 9,
    ...more,
  };
}

/** Return out's planes of a model as createGrid's view; more overrides. */
export function algOutputView(model, more = {}) {
  return {
    label: "out",
    shape: () => [model().outs, model().high, model().wide],
    value: (o, i, j) => model().written(i * model().wide + j, o),
    caption: (o) => `out, channel ${model().firstOut + o}`,
    most: 18,
    least: 9,
    ...more,
  };
}

/** Return one output's kernel, a plane a channel, as createGrid's view; more overrides. */
export function algKernelView(model, output, more = {}) {
  return {
    label: () => `weight of output ${model().firstOut + output()}`,
    shape: () => [model().channels, ...model().problem.kernelSize],
    value: (c, i, j) => model().weight.at(model().firstOut + output(), c, i, j),
    caption: (c) => `weight [${model().firstOut + output()}, ${c}]`,
    most: 22,
    least: 12,
    ...more,
  };
}
