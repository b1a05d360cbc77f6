// Winograd: a tile of x, transformed; fewer products; transformed back to a tile of out.

import { algPart, algStepper } from "./alg-kit.js";
import { algInputView, algMatrix, algOutputView, algPlanes } from "./alg-planes.js";
import { el, replace, select } from "./dom.js";
import { formatCount, formatNumber } from "./numbers.js";
import {
  algChosenForms,
  algFormMatrix,
  algMultiply,
  algSameForm,
  algTileStarts,
  algTurned,
} from "./alg-forms.js";

/** The three transforms as a panel: see algorithms.js. */
export const algWinogradPanel = {
  id: "winograd",
  label: "Winograd",
  names: ["winograd"],
  mount: algWinogradMount,
  idea: "Take a tile of outputs at once: add and subtract first, and fewer products are left to do.",
  memory:
    "The transformed weight, once; the transforms of a block of tiles, all channels, in cache; " +
    "their products. The " +
    "products are one small matrix product (channels × outputs) for each place in a tile.",
};

const ALG_WINOGRAD_STEPS = [
  "take the tile",
  "transform the tile: BᵀdB",
  "transform the weight: GgGᵀ",
  "multiply place by place, add over channels",
  "transform back: AᵀmA",
];

function algWinogradMount(host, { model, given }) {
  const m = () => model();
  const forms = algChosenForms(m().problem, given);
  if (forms.refused) {
    if (!given.whyNot) host.append(el("p", { class: "fault", text: forms.refused }));
    return { refresh: () => {}, stop: () => {} };
  }
  let [at, c, o] = [0, 0, 0];
  const [down, across] = forms.axes;
  const starts = [algTileStarts(m().high, forms.axes[0]), algTileStarts(m().wide, forms.axes[1])];
  const tiles = () => starts[0].length * starts[1].length;
  const step = () => at % ALG_WINOGRAD_STEPS.length;
  const tile = () => Math.floor(at / ALG_WINOGRAD_STEPS.length);
  const origin = () => [
    starts[0][Math.floor(tile() / starts[1].length)],
    starts[1][tile() % starts[1].length],
  ];
  const inputs = (axis) => {
    const { stride, dilation, padding } = m().problem;
    return Array.from(
      { length: forms.axes[axis].span },
      (_, q) => origin()[axis] * stride[axis] + q * dilation[axis] - padding[axis][0],
    );
  };
  const outputs = (axis) =>
    Array.from({ length: forms.axes[axis].m }, (_, q) => origin()[axis] + q * forms.axes[axis].leap);

  /** All the numbers of the tile in work: d, V of each channel, g, U of each channel, M, Y. */
  function work() {
    const each = Array.from({ length: m().channels }, (_, channel) => channel);
    const d = each.map((channel) => inputs(0).map((h) => inputs(1).map((w) => m().padded(channel, h, w))));
    const g = each.map((channel) =>
      Array.from({ length: m().problem.kernelSize[0] }, (_, u) =>
        Array.from({ length: m().problem.kernelSize[1] }, (__, v) =>
          m().weight.at(m().firstOut + o, channel, u, v),
        ),
      ),
    );
    const V = d.map((one) => algMultiply(algMultiply(down.BT, one), algTurned(across.BT)));
    const U = g.map((one) => algMultiply(algMultiply(down.G, one), algTurned(across.G)));
    const products = V.map((one, channel) =>
      one.map((row, p) => row.map((value, q) => value * U[channel][p][q])),
    );
    const M = products[0].map((row, p) =>
      row.map((_, q) => products.reduce((sum, one) => sum + one[p][q], 0)),
    );
    return { d, g, V, U, products, M, Y: algMultiply(algMultiply(down.AT, M), algTurned(across.AT)) };
  }
  let now = work();

  const channel = select("Channel of x", {
    options: () =>
      Array.from({ length: m().channels }, (_, value) => ({ value: String(value), label: String(value) })),
    get: () => String(c),
    set: (value) => {
      c = Number(value);
      draw();
    },
  });
  const output = select("Output", {
    options: () =>
      Array.from({ length: m().outs }, (_, value) => ({ value: String(value), label: String(value) })),
    get: () => String(o),
    set: (value) => {
      o = Number(value);
      draw();
    },
  });
  const parts = {
    x: algPart("x", "framed: the tile, which overlaps the next"),
    d: algPart("d", "the tile, one channel"),
    V: algPart("V = Bᵀ d B", "additions, mostly"),
    g: algPart("g", "the kernel, one channel"),
    U: algPart("U = G g Gᵀ", "once for a layer"),
    M: algPart("m = Σ V ⊙ U", "the products, added over channels"),
    Y: algPart("y = Aᵀ m A", "the tile of out"),
    out: algPart("out", "framed: what this tile gives"),
  };
  const sign = (text) => el("span", { class: "alg-sign", "aria-hidden": true }, text);
  const line = el("p", { class: "alg-caption alg-sum" });
  const saved = el("p", { class: "alg-note alg-wide-note" });
  const matrices = el("div", { class: "alg-forms" });
  const stepper = algStepper({
    label: "Tiles",
    count: () => tiles() * ALG_WINOGRAD_STEPS.length,
    get: () => at,
    set: (value) => {
      at = value;
      draw();
    },
    speed: "1",
    caption: () => `Tile ${tile() + 1} of ${tiles()}: ${ALG_WINOGRAD_STEPS[step()]}.`,
  });
  host.append(
    stepper.element,
    el("div", { class: "controls alg-one-control" }, channel.element, output.element),
    el(
      "div",
      { class: "alg-stage" },
      parts.x.element,
      el(
        "div",
        { class: "alg-flow" },
        parts.d.element,
        sign("→"),
        parts.V.element,
        parts.g.element,
        sign("→"),
        parts.U.element,
        parts.Y.element,
        sign("←"),
        parts.M.element,
      ),
      parts.out.element,
    ),
    line,
    saved,
    matrices,
  );

  const x = algPlanes(
    parts.x,
    algInputView(m, {
      mark: (_, i, j) => (inputs(0).includes(i) && inputs(1).includes(j) ? "window" : ""),
    }),
  );
  const square = (place, label, get, from) =>
    algMatrix(place.element, {
      label,
      rows: () => get().length,
      columns: () => get()[0].length,
      value: (i, j) => get()[i][j],
      most: 36,
      least: 20,
      mark: () => (step() < from ? "hole" : ""),
    });
  const squares = [
    square(parts.d, "the tile d", () => now.d[c], 0),
    square(parts.V, "the transformed tile V", () => now.V[c], 1),
    square(parts.g, "the kernel g", () => now.g[c], 0),
    square(parts.U, "the transformed kernel U", () => now.U[c], 2),
    square(parts.M, "the products m", () => now.M, 3),
    square(parts.Y, "the outputs y", () => now.Y, 4),
  ];
  const out = algPlanes(
    parts.out,
    algOutputView(m, {
      mark: (channelOut, i, j) =>
        channelOut === o && outputs(0).includes(i) && outputs(1).includes(j) ? "window" : "",
    }),
  );
  const active = { d: [0, 1], V: [1, 3], g: [2], U: [2, 3], M: [3, 4], Y: [4] };

  function draw() {
    [c, o] = [Math.min(c, m().channels - 1), Math.min(o, m().outs - 1)];
    now = work();
    [x, ...squares, out].forEach((grid) => grid.draw());
    [channel, output, stepper].forEach((control) => control.refresh());
    Object.entries(active).forEach(([name, steps]) =>
      parts[name].element.classList.toggle("is-active", steps.includes(step())),
    );
    const inside = outputs(0)
      .flatMap((i, p) => outputs(1).map((j, q) => [i, j, p, q]))
      .filter(([i, j]) => i < m().high && j < m().wide);
    const worst = Math.max(
      ...inside.map(([i, j, p, q]) => Math.abs(now.Y[p][q] - m().product(i * m().wide + j, o))),
      0,
    );
    line.textContent =
      step() < 4
        ? algWinogradTerms(step(), now, c)
        : `${inside.length} outputs of the tile are inside out; the ` +
          `largest difference from the definition is ${formatNumber(worst < 1e-12 ? 0 : worst, 2)}.`;
    saved.textContent = algWinogradSaved(m(), forms, tiles(), given);
  }
  replace(
    matrices,
    ["BT", "G", "AT"].flatMap((name) =>
      (algSameForm(...forms.axes) ? [forms.axes[0]] : forms.axes).map((axis) => algFormMatrix(name, axis)),
    ),
  );
  draw();
  return { refresh: draw, stop: stepper.stop };
}

function algWinogradTerms(step, now, c) {
  const places = now.M.length * now.M[0].length;
  return [
    `${now.d[c].length} × ${now.d[c][0].length} numbers of x for ${now.Y.length} × ` +
      `${now.Y[0].length} outputs.`,
    "Rows of Bᵀ say which numbers of the tile are added and subtracted, down and then across.",
    "The same for the weight, with G. It does not depend on x: a plan that packs its weight does " +
      "it once.",
    `${places} products a channel and output, where the definition takes ${
      now.Y.length * now.Y[0].length * now.g[0].length * now.g[0][0].length
    }.`,
  ][step];
}

function algWinogradSaved({ problem, rows, taps, channels, outs }, { axes }, tiles, given) {
  const [down, across] = axes;
  const direct = problem.batch * rows * taps * channels * outs * problem.groups;
  const spent = problem.batch * tiles * down.span * across.span * channels * outs * problem.groups;
  const each = [down.m * across.m * down.r * across.r, down.span * across.span];
  const named = (forms) => forms.map(({ m, r }) => `F(${m}, ${r})`).join(" × ");
  const chosen = named((given.same && given.extras?.winograd?.chosen) || []);
  const same = chosen === named(axes) ? " npconv takes the same here." : "";
  const taken = chosen && !same ? ` For so few channels npconv itself would take ${chosen}.` : same;
  return (
    `${named(axes)}: ${each[0]} products become ${each[1]}, ` +
    `${formatNumber(each[0] / each[1], 3)} times fewer; with ` +
    `F(4, 3) along both axes 144 become 36. Here: ${formatCount(direct)} become ` +
    `${formatCount(spent)}, tiles that stick out ` +
    `over the edge counted whole.${taken}`
  );
}
