// The convolution theorem: transform, multiply frequency by frequency, transform back, cut.

import { algPart, algStepper } from "./alg-kit.js";
import { algAddProduct, algComplex, algFastLength, algTransform } from "./alg-fourier.js";
import { el, select } from "./dom.js";
import { spanOf } from "./geometry.js";
import { createGrid } from "./grid.js";
import { formatCount, formatNumber } from "./numbers.js";

/** The spectra as a panel: see algorithms.js. */
export const algFftPanel = {
  id: "fft",
  label: "FFT",
  names: ["fft"],
  mount: algFftMount,
  idea: "Transform x and the kernel; multiply their spectra, one number with one; transform back.",
  memory:
    "The spectra of a tile of x, and of the kernels, in complex numbers. A kernel of any size " +
    "costs the same " +
    "product: one for each frequency, channel and output.",
};

const ALG_FFT_STEPS = [
  "x with its padding, and the kernel, both filled up with zeros to one size that transforms quickly.",
  "Their spectra: how much of each wave is in them. The numbers are real, so half of a spectrum " +
    "says all.",
  "Spectrum times spectrum (the kernel's conjugate), frequency by frequency, added up over the " +
    "channels.",
  "Back again: every output of the window at every place, those that wrapped round the edge as well.",
  "What is cut: the wrapped outputs, and those that the stride skips. What is left is out.",
];

function algFftMount(host, { model }) {
  const m = () => model();
  let [step, c, o] = [0, 0, 0];
  let now = algFftWork(m(), o);
  const number = (label, count, get, set) =>
    select(label, {
      options: () => Array.from({ length: count() }, (_, at) => ({ value: String(at), label: String(at) })),
      get: () => String(get()),
      set: (value) => set(Number(value)),
    });
  const channel = number(
    "Channel of x",
    () => m().channels,
    () => c,
    (value) => {
      c = value;
      draw();
    },
  );
  const output = number(
    "Output",
    () => m().outs,
    () => o,
    (value) => {
      o = value;
      draw();
    },
  );
  const parts = {
    x: algPart("x, filled up", "one channel"),
    kernel: algPart("weight, filled up", "its holes and all"),
    xs: algPart("|X|", "x's spectrum: magnitudes"),
    ws: algPart("|W|", "the kernel's spectrum"),
    ys: algPart("|Y|", "X · W*, summed over channels"),
    y: algPart("y", "transformed back"),
    out: algPart("out", "of this output"),
  };
  const stage = el(
    "div",
    { class: "alg-stage" },
    Object.values(parts).map(({ element }) => element),
  );
  const line = el("p", { class: "alg-caption alg-sum" });
  const stepper = algStepper({
    label: "Steps of the transform",
    count: () => ALG_FFT_STEPS.length,
    get: () => step,
    set: (at) => {
      step = at;
      draw();
    },
    caption: (at) => `${at + 1}. ${ALG_FFT_STEPS[at]}`,
    speed: "1",
  });
  host.append(
    stepper.element,
    el("div", { class: "controls alg-one-control" }, channel.element, output.element),
    stage,
    line,
  );

  const shape = () => [1, ...now.lengths];
  const half = () => [1, now.lengths[0], Math.floor(now.lengths[1] / 2) + 1];
  const flat = (i, j) => i * now.lengths[1] + j;
  const image = (place, label, value, mark = () => "") =>
    createGrid(place.element, {
      label,
      shape,
      value: (_, i, j) => value(i, j),
      mark: (_, i, j) => mark(i, j),
      most: 22,
      least: 4,
    });
  const spectrum = (place, label, of) => {
    const size = (i, j) => {
      const value = Math.hypot(of().re[flat(i, j)], of().im[flat(i, j)]);
      return value < 1e-12 * tallest(of()) ? 0 : value; // rounding
    };
    return createGrid(place.element, {
      label,
      shape: half,
      value: (_, i, j) => size(i, j),
      most: 22,
      least: 4,
      strength: (_, i, j) => Math.log1p(size(i, j)) / Math.log1p(tallest(of())),
      describe: ({ i, j }) =>
        `frequency ${i}, ${j}: ${formatNumber(of().re[flat(i, j)])} + ${formatNumber(
          of().im[flat(i, j)],
        )}i`,
    });
  };
  const known = new WeakMap();
  const tallest = (of) => {
    if (!known.has(of))
      known.set(
        of,
        of.re.reduce((most, re, at) => Math.max(most, Math.hypot(re, of.im[at])), 1e-9),
      );
    return known.get(of);
  };
  const kept = (i, j) =>
    [i, j].every(
      (at, axis) =>
        at % m().problem.stride[axis] === 0 && at / m().problem.stride[axis] < (axis ? m().wide : m().high),
    );
  const grids = [
    image(
      parts.x,
      "x filled up",
      (i, j) => now.images[c].re[flat(i, j)],
      (i, j) => (i < now.need[0] && j < now.need[1] ? "window" : "dim"),
    ),
    image(
      parts.kernel,
      "the kernel filled up",
      (i, j) => now.kernels[c].re[flat(i, j)],
      (i, j) => (i < now.span[0] && j < now.span[1] ? "window" : "dim"),
    ),
    spectrum(parts.xs, "magnitudes of x's spectrum", () => now.spectra[c]),
    spectrum(parts.ws, "magnitudes of the kernel's spectrum", () => now.weights[c]),
    spectrum(parts.ys, "magnitudes of the product", () => now.product),
    image(
      parts.y,
      "the result before the cut",
      (i, j) => now.shown[flat(i, j)],
      (i, j) => (step < 4 ? "" : kept(i, j) ? "window" : "cut dim"),
    ),
    createGrid(parts.out.element, {
      label: "out",
      shape: () => [1, m().high, m().wide],
      most: 22,
      least: 4,
      value: (_, i, j) => m().product(i * m().wide + j, o),
    }),
  ];

  function draw() {
    [c, o] = [Math.min(c, m().channels - 1), Math.min(o, m().outs - 1)];
    now = algFftWork(m(), o);
    const visible = {
      x: step === 0 || step === 1,
      kernel: step === 0 || step === 1,
      xs: step === 1 || step === 2,
      ws: step === 1 || step === 2,
      ys: step === 2 || step === 3,
      y: step >= 3,
      out: step === 4,
    };
    Object.entries(visible).forEach(([name, on]) => {
      parts[name].element.hidden = !on;
    });
    grids.forEach((grid) => grid.draw());
    [channel, output, stepper].forEach((control) => control.refresh());
    channel.element.hidden = step > 2;
    const [direct, spectral] = algFftProducts(m(), now.lengths);
    line.textContent =
      `${now.lengths.join(" × ")} numbers a transform. About ${formatCount(spectral)} ` +
      "multiplications, the " +
      `definition ${formatCount(direct)}: ${
        spectral < direct
          ? `${formatNumber(direct / spectral, 2)} times fewer`
          : "more, for a kernel and an image as small as these"
      }. The largest difference from out is ${formatNumber(now.error, 2)}.`;
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}

/** Return all that is shown of one output: images and kernels filled up, spectra, product, result. */
function algFftWork(model, o) {
  const { problem, high, wide } = model;
  const span = [spanOf(problem, 0), spanOf(problem, 1)];
  const need = [high, wide].map((out, axis) => (out - 1) * problem.stride[axis] + span[axis]);
  const lengths = need.map(algFastLength);
  const filled = (rows, columns, value) => {
    const made = algComplex(lengths[0] * lengths[1]);
    for (let i = 0; i < rows; i += 1) {
      for (let j = 0; j < columns; j += 1) made.re[i * lengths[1] + j] = value(i, j);
    }
    return made;
  };
  const [top, left] = problem.padding.map(([before]) => before);
  const [down, across] = problem.dilation;
  const each = Array.from({ length: model.channels }, (_, c) => c);
  const images = each.map((c) => filled(...need, (i, j) => model.padded(c, i - top, j - left)));
  const kernels = each.map((c) =>
    filled(...span, (i, j) =>
      i % down || j % across ? 0 : model.weight.at(model.firstOut + o, c, i / down, j / across),
    ),
  );
  const spectra = images.map((image) => algTransform(image, lengths));
  const weights = kernels.map((kernel) => algTransform(kernel, lengths));
  const product = algComplex(lengths[0] * lengths[1]);
  each.forEach((c) => algAddProduct(product, spectra[c], weights[c]));
  const result = algTransform(product, lengths, 1);
  // What is nothing but rounding is shown as the zero that it stands for.
  const large = result.re.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-300);
  const shown = result.re.map((value) => (Math.abs(value) < 1e-12 * large ? 0 : value));
  let error = 0;
  for (let r = 0; r < model.rows; r += 1) {
    const [i, j] = model.cell(r);
    const value = result.re[i * problem.stride[0] * lengths[1] + j * problem.stride[1]];
    error = Math.max(error, Math.abs(value - model.product(r, o)));
  }
  return { span, need, lengths, images, kernels, spectra, weights, product, result, shown, error };
}

/** Return the multiplications of the definition and of transforms and products, for all the batch. */
function algFftProducts({ problem, rows, taps, channels, outs }, [high, wide]) {
  const { batch, groups, inChannels, outChannels } = problem;
  const direct = batch * rows * taps * channels * outs * groups;
  const values = high * wide;
  const bins = high * (Math.floor(wide / 2) + 1);
  const transforms =
    1.25 *
    values *
    Math.log2(Math.max(values, 2)) *
    (batch * (inChannels + outChannels) + channels * outChannels);
  return [direct, transforms + 4 * bins * batch * channels * outChannels];
}
