// im2col by a loop: one window after the other is copied to its row.

import { algPart, algStepper } from "./alg-kit.js";
import { algInputView, algMatrix, algPlanes } from "./alg-planes.js";
import { el } from "./dom.js";
import { formatBytes, formatCount } from "./numbers.js";
import { ALG_ITEM } from "./alg-model.js";

/** The copying loop as a panel: see algorithms.js. */
export const algLoopPanel = {
  id: "loop",
  label: "im2col: loop",
  names: ["im2col_loop"],
  mount: algLoopMount,
  idea: "Copy each window to a row of the patch matrix, one after the other; then multiply once.",
  memory:
    "All of the patch matrix, written once and read once, and the product before it is folded. The " +
    "loop is " +
    "Python: some steps of the interpreter for every window, whatever its size.",
};

function algLoopMount(host, { model }) {
  const m = () => model();
  let r = 0;
  let entry = -1;
  let window = new Set();
  const parts = {
    x: algPart("x", "the window is read, line by line"),
    patches: algPart("patches", "rows still empty are memory that is reserved, and not written yet"),
    weights: algPart("weights", "the kernels as columns"),
    product: algPart("patches @ weights", "one call, after the last window"),
  };
  const code = el(
    "pre",
    { class: "alg-code" },
    el("code", {
      text:
        "patches = np.empty((rows, terms))\nfor r, (i, j) in enumerate(np.ndindex(out_size)):\n" +
        "    patches[r] = padded[:, i*s : ..., j*s : ...].ravel()\nout = patches @ weights",
    }),
  );
  host.append(
    code,
    el(
      "div",
      { class: "alg-stage" },
      Object.values(parts).map(({ element }) => element),
    ),
  );
  const x = algPlanes(
    parts.x,
    algInputView(m, {
      mark: (c, i, j) => {
        if (!window.has(`${i},${j}`)) return "";
        const read = entry >= 0 ? m().read(r, entry) : null;
        return read && read.c === c && read.h === i && read.w === j ? "window focus" : "window";
      },
    }),
  );
  const finished = () => r === m().rows;
  const patches = algMatrix(parts.patches.element, {
    label: "the patch matrix",
    rows: () => m().rows,
    columns: () => m().terms,
    value: (row, k) => m().patch(row, k),
    scale: () => largest,
    mark: (row, k) =>
      row > r ? "hole" : `${row === r ? "window" : ""}${row === r && k === entry ? " focus" : ""}`,
    onPoint: (cell) => {
      if (!cell || cell.r > r || finished()) return;
      entry = cell.r === r ? cell.k : -1;
      draw(false);
    },
    most: 17,
    least: 8,
    limit: [34, 48],
  });
  const weights = algMatrix(parts.weights.element, {
    label: "the weights, a column an output",
    rows: () => m().terms,
    columns: () => m().outs,
    value: (k, o) => m().kernel(k, o),
    most: 16,
    least: 14,
    limit: [36, 8],
  });
  const product = algMatrix(parts.product.element, {
    label: "the product",
    rows: () => m().rows,
    columns: () => m().outs,
    value: (row, o) => m().product(row, o),
    scale: () => 0,
    mark: () => (finished() ? "" : "hole"),
    most: 28,
    least: 14,
    limit: [20, 8],
  });
  let largest = 1;
  const stepper = algStepper({
    label: "Windows",
    count: () => m().rows + 1,
    get: () => r,
    set: (at) => {
      r = at;
      entry = -1;
      draw();
    },
    caption: () => {
      const each = m().terms * ALG_ITEM;
      if (finished()) {
        return (
          `Multiply: ${formatCount(m().rows)} × ${formatCount(m().terms)} times ` +
          `${formatCount(m().terms)} × ` +
          `${formatCount(m().outs)}, in one call.`
        );
      }
      const [i, j] = m().cell(r);
      return (
        `Window (${i}, ${j}) to row ${r}: ${formatBytes(each)} copied, ` +
        `${formatBytes(each * (r + 1))} so far.`
      );
    },
  });
  host.append(stepper.element);

  function draw(follow = true) {
    r = Math.min(r, m().rows);
    largest = Math.max(...m().x.data.map(Math.abs), 1e-9);
    window = new Set(
      finished()
        ? []
        : m().columns.map((_, k) => {
            const { h, w } = m().read(r, k);
            return `${h},${w}`;
          }),
    );
    x.draw();
    weights.draw();
    product.draw();
    if (follow) patches.show(Math.min(r, m().rows - 1));
    else patches.draw();
    stepper.refresh();
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}
