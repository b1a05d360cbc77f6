// The six tensors of the backward view: how they fill while it is played, and how large they are.

import { drawnPadding, isCropped, isUnread } from "./reach.js";
import { createTensor, shapeText } from "./tensors.js";

const BACK_BARE = [[0, 0], [0, 0]];
const BACK_GAP = 18; // pixels between the planes of a grid, and 8 round them
const BACK_NARROW = 720; // a host of fewer pixels lays the tensors one under the other
const BACK_TERMS = 416; // pixels kept for the arithmetic beside grad_x
const BACK_TITLES = { gradOut: 210, gradWeight: 230, gradX: 200, weight: 180, x: 150, gradBias: 88 };
const BACK_CELLS = [28, 26, 24, 22, 20]; // pixels, as they are tried
const BACK_SUMS = [28, 26]; // of grad_weight, whose sums have more digits

/** Return the tensors, drawn with what view says: { tensor, element, refresh } of each. */
export function backTensors(store, view, onPin, onHover) {
  const sizes = {};
  const common = { shown: () => view, onPin, onHover };
  const pad = ({ problem }) => (problem.transposed ? BACK_BARE : problem.padding);
  const unread = ({ problem }, c, i, j) => (backUnread(problem, i, j) ? "unread" : "");
  const make = (tensor, about, options) => createTensor(store,
    { ...common, tensor, about, most: () => sizes[tensor] ?? 24, ...options });
  const tensors = [
    make("gradOut", ({ gradOut }) => shapeText(gradOut.shape), {
      editable: true, mark: ({ gradOut }, o, i, j) => {
        const [, , rows, columns] = gradOut.shape;
        return view.filling && (o * rows + i) * columns + j > view.step ? "dim" : "";
      } }),
    make("weight", ({ weight }) => shapeText(weight.shape), { editable: true }),
    make("gradWeight", ({ gradWeight }) => shapeText(gradWeight.shape), {
      value: (state, plane, i, j) => view.poured?.weight(plane, i, j) }),
    make("gradBias", () => "", { value: (state, c, i) => view.poured?.bias(i) }),
    make("gradX", ({ gradX }) => shapeText(gradX.shape), { pad, mark: unread,
      value: (state, c, i, j) => view.poured?.x(c, i, j) }),
    make("x", ({ x }) => shapeText(x.shape), { pad, mark: unread, editable: true }),
  ];

  /** Choose the cells' sizes for a host of that width, and give each tensor the room that it needs. */
  function lay(width) {
    if (!width) return;
    const { problem, gradOut, weight } = store.get();
    const narrow = width < BACK_NARROW;
    const padded = drawnPadding(problem);
    const [high, wide] = problem.size.map((size, axis) => size + padded[axis][0] + padded[axis][1]);
    const [, , rows, columns] = gradOut.shape;
    const [first, depth, kh, kw] = weight.shape;
    const room = (planes, wide, shares) => (narrow ? width : Math.floor(width * (shares.find((share) => (
      planes * wide * BACK_CELLS.at(-1) + (planes - 1) * BACK_GAP + 8 <= width * share)) ?? shares.at(-1))));
    const beside = narrow ? width : width - BACK_TERMS;
    const wanted = { gradOut: [gradOut.shape[1], rows, columns,
      room(gradOut.shape[1], columns, [0.385, 0.62, 1])],
      weight: [depth, first * kh, kw, room(depth, kw, [0.245, 0.48])],
      gradWeight: [depth, first * kh, kw, room(depth, kw, [0.257, 0.48]), BACK_SUMS],
      gradBias: [1, problem.outChannels, 1, 88],
      gradX: [problem.inChannels, high, wide, beside], x: [problem.inChannels, high, wide, beside] };
    tensors.forEach(({ tensor, element }) => {
      const [cell, needed] = backFit(...wanted[tensor]);
      sizes[tensor] = cell;
      const most = Math.max(wanted[tensor][3], BACK_TITLES[tensor]);
      element.style.width = `${Math.min(Math.max(needed, BACK_TITLES[tensor]), most, width)}px`;
    });
  }

  return { tensors, lay };
}

/** Return the cell and the width, in pixels, with which planes lie side by side in the room there is. */
function backFit(planes, rows, columns, room, cells = BACK_CELLS) {
  const width = (count, cell) => count * columns * cell + (count - 1) * BACK_GAP + 8;
  const fits = cells.find((cell) => width(planes, cell) <= room && rows * cell <= 220)
    ?? cells.findLast((cell) => width(planes, cell) <= room);
  if (fits) return [fits, width(planes, fits)];
  const least = cells.at(-1);
  const count = Math.max(Math.floor((room - 8 + BACK_GAP) / (columns * least + BACK_GAP)), 1);
  const cell = cells.find((size) => width(count, size) <= room) ?? least;
  return [cell, width(count, cell)];
}

function backCut(problem, h, w) {
  return !problem.transposed && isCropped(problem, h, w);
}

function backUnread(problem, h, w) {
  const [rows, columns] = problem.size;
  if (h < 0 || w < 0 || h >= rows || w >= columns) return false;
  return isUnread(problem, h, w) && !backCut(problem, h, w);
}
