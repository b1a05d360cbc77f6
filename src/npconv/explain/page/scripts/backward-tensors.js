// The six tensors of the backward view, and how they fill while it is played.

import { isCropped, isUnread } from "./reach.js";
import { createTensor, shapeText } from "./tensors.js";

/** Return the tensors, drawn with what view says: { tensor, element, refresh } of each. */
export function backTensors(store, view, onPin, onHover) {
  const common = { shown: () => view, onPin, onHover };
  const pad = ({ problem }) => (problem.transposed ? [[0, 0], [0, 0]] : problem.padding);
  const unread = ({ problem }, c, i, j) => (backUnread(problem, i, j) ? "unread" : "");
  const make = (tensor, about, options) => createTensor(store, { ...common, tensor, about, ...options });
  return [
    make("gradOut", ({ gradOut }) => `the gradient of out, ${shapeText(gradOut.shape)}`, {
      editable: true, most: 28,
      mark: ({ gradOut }, o, i, j) => {
        const [, , rows, columns] = gradOut.shape;
        return view.filling && (o * rows + i) * columns + j > view.step ? "dim" : "";
      } }),
    make("gradX", ({ gradX }) => `the gradient of x, ${shapeText(gradX.shape)}`, { pad, most: 24,
      mark: unread, value: (state, c, i, j) => (backCut(state.problem, i, j) ? 0 : view.poured?.x(c, i, j)) }),
    make("x", ({ x }) => `the input, ${shapeText(x.shape)}`, { pad, mark: unread, editable: true, most: 24 }),
    make("weight", () => "", { editable: true, most: 24 }),
    make("gradWeight", () => "", { most: 24, value: (state, plane, i, j) => view.poured?.weight(plane, i, j) }),
    make("gradBias", () => "", { most: 24, value: (state, c, i) => view.poured?.bias(i) }),
  ];
}

function backCut(problem, h, w) {
  return !problem.transposed && isCropped(problem, h, w);
}

function backUnread(problem, h, w) {
  const [rows, columns] = problem.size;
  if (h < 0 || w < 0 || h >= rows || w >= columns) return false;
  return isUnread(problem, h, w) && !backCut(problem, h, w);
}
