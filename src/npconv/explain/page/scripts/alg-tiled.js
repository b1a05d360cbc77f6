// im2col that is never whole: a tile of rows at a time, in a workspace that stays in the cache.

import { algPart, algStepper } from "./alg-kit.js";
import { algInputView, algMatrix, algOutputView, algPlanes } from "./alg-planes.js";
import { ALG_ITEM } from "./alg-model.js";
import { el, replace, slider } from "./dom.js";
import { formatBytes, formatCount } from "./numbers.js";

/** The tiles as a panel: see algorithms.js. */
export const algTiledPanel = {
  id: "tiled",
  label: "im2col: tiled",
  names: ["im2col_tiled"],
  mount: algTiledMount,
  idea:
    "The same patch matrix, some rows at a time: copied, multiplied, and overwritten while it " +
    "is in the cache.",
  memory:
    "One tile's rows and its product, whatever the size of x. npconv makes a tile as large as fits " +
    "4 MiB a thread; " +
    "here it is a few rows of out, so that several are seen.",
};

const ALG_TILED_PHASES = ["copy", "multiply"];

function algTiledMount(host, { model }) {
  const m = () => model();
  let at = 0;
  let lines = Math.min(2, m().high);
  let window = new Set();
  const tiles = () => Math.ceil(m().high / lines);
  const tile = () => Math.floor(at / ALG_TILED_PHASES.length);
  const phase = () => ALG_TILED_PHASES[at % ALG_TILED_PHASES.length];
  const first = () => tile() * lines * m().wide;
  const count = () => Math.min(lines, m().high - tile() * lines) * m().wide;
  const parts = {
    x: algPart("x", "framed: what the tile's windows read"),
    work: algPart("The workspace", "the only patch rows there are: each tile writes over the last"),
    weights: algPart("× weights", "read by every tile"),
    out: algPart("= out", "framed: the rows of this tile"),
  };
  const bars = el("div", { class: "alg-bars" });
  const size = slider("Rows of out in a tile", {
    min: 1,
    max: () => m().high,
    get: () => lines,
    set: (value) => {
      lines = value;
      at = 0;
      draw();
    },
  });
  host.append(
    el(
      "div",
      { class: "alg-stage" },
      parts.x.element,
      parts.work.element,
      parts.weights.element,
      parts.out.element,
    ),
    bars,
  );
  const x = algPlanes(
    parts.x,
    algInputView(m, { mark: (_, i, j) => (window.has(`${i},${j}`) ? "window" : "dim") }),
  );
  const work = algMatrix(parts.work.element, {
    label: "the workspace",
    rows: () => Math.min(lines * m().wide, m().rows),
    columns: () => m().terms,
    scale: () => largest,
    value: (row, k) => m().patch(Math.min(first() + row, m().rows - 1), k),
    mark: (row) => (row >= count() ? "hole" : phase() === "copy" ? "window" : ""),
    most: 17,
    least: 8,
    limit: [32, 48],
  });
  const weights = algMatrix(parts.weights.element, {
    label: "the weights, a column an output",
    rows: () => m().terms,
    columns: () => m().outs,
    value: (k, o) => m().kernel(k, o),
    most: 16,
    least: 12,
    limit: [32, 8],
  });
  const out = algPlanes(
    parts.out,
    algOutputView(m, {
      mark: (_, i) => {
        const of = Math.floor(i / lines);
        const here = of === tile() && phase() === "multiply" ? "window" : "";
        return `${of < tile() || here ? "" : "hole"} ${here}`;
      },
    }),
  );
  const stepper = algStepper({
    label: "Tiles",
    count: () => tiles() * ALG_TILED_PHASES.length,
    get: () => at,
    set: (step) => {
      at = step;
      draw();
    },
    speed: "1",
    caption: () =>
      phase() === "copy"
        ? `Tile ${tile() + 1} of ${tiles()}: ${formatCount(count())} windows are copied into the ` +
          "workspace."
        : `Tile ${tile() + 1} of ${tiles()}: workspace times weights is written to its rows of out.`,
  });
  host.append(el("div", { class: "controls alg-one-control" }, size.element), stepper.element);
  let largest = 1;

  function draw() {
    lines = Math.min(lines, m().high);
    at = Math.min(at, tiles() * ALG_TILED_PHASES.length - 1);
    largest = Math.max(...m().x.data.map(Math.abs), 1e-9);
    window = new Set();
    for (let row = 0; row < count(); row += 1) {
      for (let k = 0; k < m().terms; k += 1) {
        const { h, w } = m().read(first() + row, k);
        window.add(`${h},${w}`);
      }
    }
    [x, work, weights, out].forEach((grid) => grid.draw());
    size.refresh();
    stepper.refresh();
    const each = m().terms * ALG_ITEM;
    const held = Math.min(lines * m().wide, m().rows) * each;
    const bar = (name, nbytes) =>
      el(
        "div",
        { class: "alg-bar-row" },
        el("span", { class: "alg-bar-name", text: name }),
        el(
          "span",
          { class: "alg-bar-track", "aria-hidden": true },
          el("span", {
            class: "alg-bar-fill",
            style: { width: `${Math.max((100 * nbytes) / (m().rows * each), 0.4)}%` },
          }),
        ),
        el("span", { class: "alg-bar-value", text: formatBytes(nbytes) }),
      );
    replace(bars, bar("whole matrix", m().rows * each), bar("workspace", held));
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}
