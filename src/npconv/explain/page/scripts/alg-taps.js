// The convolution as a sum of shifted images, one product of matrices for each tap.

import { algPart, algStepper } from "./alg-kit.js";
import { algInputView, algMatrix, algOutputView, algPlanes } from "./alg-planes.js";
import { el } from "./dom.js";
import { createGrid } from "./grid.js";
import { formatCount } from "./numbers.js";

/** Taps as a panel: see algorithms.js. */
export const algTapsPanel = {
  id: "taps",
  label: "Taps",
  names: ["taps"],
  mount: algTapsMount,
  idea:
    "For each position (u, v) of the kernel: the shifted image times one small matrix, added " + "to out.",
  memory:
    "The shifted image is a view of padded x: the same bytes, begun elsewhere and read in steps of " +
    "the stride. " +
    "Beside it lie a C × O matrix of weights and one product, which is added to out while both are " +
    "in cache.",
};

const ALG_TAPS_MINIATURES = [36, 400]; // taps, and cells of a miniature, that are drawn at most

function algTapsMount(host, { model }) {
  const m = () => model();
  let tap = 0;
  let sums = { tap: -1, data: new Float64Array(0), source: null };
  const u = () => Math.floor(tap / m().problem.kernelSize[1]);
  const v = () => tap % m().problem.kernelSize[1];
  const entry = (c, at = tap) => {
    const wide = m().problem.kernelSize[1];
    return m().columns.findIndex((t) => t.c === c && t.kh === Math.floor(at / wide) && t.kw === at % wide);
  };
  const entries = () => Array.from({ length: m().channels }, (_, c) => entry(c));
  let now = entries();
  let met = new Set();
  const first = () => Array.from({ length: m().taps }, (_, at) => entry(0, at));
  let firsts = first();
  let [largest, weights] = [1, 1];

  const parts = {
    x: algPart("x", "framed: what this tap meets, one number for each pixel of out"),
    shifted: algPart("The shifted image", "a view of x, no byte copied"),
    matrix: algPart("weights", ""),
    out: algPart("out so far", "the sum over the taps up to this one"),
    all: algPart("All shifted images", "of the first channel: the same picture, moved by one tap each"),
  };
  const sign = (text) => el("span", { class: "alg-sign", "aria-hidden": true }, text);
  host.append(
    el(
      "div",
      { class: "alg-stage" },
      parts.x.element,
      parts.shifted.element,
      sign("×"),
      parts.matrix.element,
      sign("→ +"),
      parts.out.element,
    ),
  );
  const x = algPlanes(
    parts.x,
    algInputView(m, { mark: (_, i, j) => (met.has(`${i},${j}`) ? "window" : "dim") }),
  );
  const shifted = algPlanes(
    parts.shifted,
    algOutputView(m, {
      label: () => `x shifted by tap ${u()}, ${v()}`,
      shape: () => [m().channels, m().high, m().wide],
      value: (c, i, j) => m().patch(i * m().wide + j, now[c]),
      scale: () => largest,
      caption: (c) => `channel ${m().firstChannel + c}`,
    }),
  );
  const matrix = algMatrix(parts.matrix.element, {
    label: () => `weight at ${u()}, ${v()}: channels by outputs`,
    rows: () => m().channels,
    columns: () => m().outs,
    value: (c, o) => m().kernel(now[c], o),
    scale: () => weights,
    most: 34,
    least: 22,
  });
  const out = algPlanes(
    parts.out,
    algOutputView(m, {
      label: "out so far",
      value: (o, i, j) => sums.data[o * m().rows + i * m().wide + j],
      onFocus: null,
    }),
  );
  const stepper = algStepper({
    label: "Taps",
    count: () => m().taps,
    get: () => tap,
    speed: "1",
    set: (at) => {
      tap = at;
      draw();
    },
    caption: (at) =>
      `Tap (${u()}, ${v()}): ${formatCount(m().rows)} pixels × ${m().channels} channels times ` +
      `${m().channels} × ${m().outs} weights. ${at + 1} of ${m().taps} products of matrices are in ` +
      "out.",
  });
  host.append(stepper.element);

  const small = () => m().taps <= ALG_TAPS_MINIATURES[0] && m().rows <= ALG_TAPS_MINIATURES[1];
  const every = small()
    ? createGrid(parts.all.element, {
        label: "all shifted images",
        shape: () => [m().taps, m().high, m().wide],
        scale: () => largest,
        value: (at, i, j) => m().patch(i * m().wide + j, firsts[at]),
        mark: (at) => (at === tap ? "window" : ""),
        caption: (at) =>
          `(${Math.floor(at / m().problem.kernelSize[1])}, ${at % m().problem.kernelSize[1]})`,
        onFocus: (cell) => cell && cell.c !== tap && (stepper.stop(), (tap = cell.c), draw()),
        most: 14,
        least: 5,
      })
    : null;
  if (every) host.append(parts.all.element);

  /** Add up what the taps before and at the current one give; from the sum before it where known. */
  function add() {
    const model = m();
    const fresh = sums.source !== model || sums.tap > tap;
    if (fresh) sums = { tap: -1, data: new Float64Array(model.outs * model.rows), source: model };
    for (let at = sums.tap + 1; at <= tap; at += 1) {
      for (let c = 0; c < model.channels; c += 1) {
        const k = entry(c, at);
        for (let o = 0; o < model.outs; o += 1) {
          const factor = model.kernel(k, o);
          for (let r = 0; r < model.rows; r += 1)
            sums.data[o * model.rows + r] += model.patch(r, k) * factor;
        }
      }
    }
    sums.tap = tap;
  }

  function draw() {
    const model = m();
    tap = Math.min(tap, model.taps - 1);
    now = entries();
    firsts = first();
    largest = Math.max(...model.x.data.map(Math.abs), 1e-9);
    weights = Math.max(...model.weight.data.map(Math.abs), 1e-9);
    met = new Set(
      Array.from({ length: model.rows }, (_, r) => {
        const { h, w } = model.read(r, now[0]);
        return `${h},${w}`;
      }),
    );
    add();
    const { stride, dilation } = model.problem;
    const cut = (axis, at) => {
      const begin = at * dilation[axis];
      const stop = begin + ((axis ? model.wide : model.high) - 1) * stride[axis] + 1;
      return `${begin}:${stop}${stride[axis] > 1 ? `:${stride[axis]}` : ""}`;
    };
    parts.shifted.small.textContent =
      `padded[:, :, ${cut(0, u())}, ${cut(1, v())}]: a view, no ` + "byte copied";
    parts.matrix.small.textContent = `[:, :, ${u()}, ${v()}]: channels × outputs`;
    [x, shifted, matrix, out, every].forEach((grid) => grid?.draw());
    stepper.refresh();
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}
