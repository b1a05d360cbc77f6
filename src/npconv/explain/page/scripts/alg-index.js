// im2col by integer index: three arrays say what every entry of the patch matrix reads.

import { algCode, algPart, algStepper } from "./alg-kit.js";
import { algInputView, algMatrix, algPlanes } from "./alg-planes.js";
import { algBuffer } from "./alg-model.js";
import { el } from "./dom.js";
import { formatBytes, formatNumber } from "./numbers.js";

/** The gather as a panel: see algorithms.js. */
export const algIndexPanel = {
  id: "index",
  label: "im2col: index",
  names: ["im2col_index"],
  mount: algIndexMount,
  idea:
    "Write down once which element each entry of the patch matrix reads, and gather them all " + "at once.",
  memory:
    "The index, 8 bytes for each pixel and tap, and the patch matrix. The gather reads from memory " +
    "what " +
    "a stride says in one number; but it is the form that would work for windows of any shape.",
};

const ALG_INDEX_STEPS = [
  "k: the channel of each column. It is the same for all windows: one row.",
  "i: the row of padded x that each entry reads: stride × row of out + dilation × row of the kernel.",
  "j: the column of padded x: the same along the other axis.",
  "padded[k, i, j]: NumPy takes every element named, and that is the patch matrix. No loop is left " +
    "in Python.",
];

const ALG_INDEX_CODE = [
  "k = channel[None, :]",
  "i = stride * row[:, None] + dilation * u",
  "j = stride * column[:, None] + dilation * v",
  "patches = padded[k, i, j]",
];

function algIndexMount(host, { model }) {
  const m = () => model();
  let step = ALG_INDEX_STEPS.length - 1;
  let [r, t] = [Math.min(m().wide, m().rows - 1), 0];
  const first = () => algBuffer(m()).first;
  const row = (at, k) => m().read(at, k).h - first()[0];
  const column = (at, k) => m().read(at, k).w - first()[1];
  const mark = (on) => (at, k) =>
    step < on ? "hole" : `${at === r && k === t ? "focus" : at === r ? "window" : ""}`;
  const parts = {
    x: algPart("padded x", "counted from its first element, padding and all"),
    k: algPart("k", "channel, 1 × terms"),
    i: algPart("i", "row, windows × terms"),
    j: algPart("j", "column, windows × terms"),
    patches: algPart("padded[k, i, j]", "the patch matrix, gathered"),
  };
  const line = el("p", { class: "alg-caption alg-sum" });
  const code = algCode(ALG_INDEX_CODE, "The index in NumPy");
  host.append(
    el(
      "div",
      { class: "alg-stage" },
      parts.x.element,
      algPart("In NumPy", "lit: the step below", code.element).element,
    ),
    el(
      "div",
      { class: "alg-stage" },
      parts.i.element,
      parts.j.element,
      parts.patches.element,
      parts.k.element,
    ),
    line,
  );
  const hold = (cell) => {
    if (!cell) return;
    [r, t] = [cell.r, cell.k];
    draw(false);
  };
  const limit = [14, 27];
  const view = { rows: () => m().rows, columns: () => m().terms, onPoint: hold, most: 18, least: 8, limit };
  const x = algPlanes(
    parts.x,
    algInputView(m, {
      most: 20,
      mark: (c, i, j) => {
        const read = m().read(r, t);
        return read.c === c && read.h === i && read.w === j ? "focus" : "";
      },
    }),
    3,
  );
  const k = algMatrix(parts.k.element, {
    ...view,
    label: "k, the channels",
    rows: () => 1,
    scale: () => 0,
    value: (_, at) => m().columns[at].c,
    mark: (_, at) => (at === t ? "focus" : ""),
    onPoint: (cell) => cell && hold({ r, k: cell.k }),
  });
  const i = algMatrix(parts.i.element, { ...view, label: "i, the rows", value: row, mark: mark(1) });
  const j = algMatrix(parts.j.element, { ...view, label: "j, the columns", value: column, mark: mark(2) });
  const patches = algMatrix(parts.patches.element, {
    ...view,
    label: "the patch matrix",
    mark: mark(3),
    value: (at, each) => m().patch(at, each),
  });
  const stepper = algStepper({
    label: "The index",
    count: () => ALG_INDEX_STEPS.length,
    get: () => step,
    set: (at) => {
      step = at;
      draw();
    },
    caption: (at) => ALG_INDEX_STEPS[at],
    speed: "1",
  });
  host.append(stepper.element);

  function draw(follow = true) {
    [r, t] = [Math.min(r, m().rows - 1), Math.min(t, m().terms - 1)];
    x.draw();
    if (follow) [k, i, j, patches].forEach((matrix, at) => matrix.show(at ? r : 0, t));
    else [k, i, j, patches].forEach((matrix) => matrix.draw());
    const { c, value } = m().read(r, t);
    const { extent } = algBuffer(m());
    const flat = row(r, t) * extent[1] + column(r, t);
    line.textContent =
      `patches[${r}, ${t}] = padded[k, i, j] = padded[${m().firstChannel + c}, ${row(r, t)}, ` +
      `${column(r, t)}] = ${formatNumber(value)}. npconv keeps i and j as one number, i × ` +
      `${extent[1]} + j = ${flat}: ` +
      `${formatBytes(8 * m().rows * m().taps)} of index for ` +
      `${formatBytes(4 * m().rows * m().terms)} of patches.`;
    code.light([step]);
    stepper.refresh();
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}
