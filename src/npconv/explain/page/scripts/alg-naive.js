// The definition as it is written: seven loops, one product at a time.

import { algCode, algPart, algStepper, algTerm } from "./alg-kit.js";
import { algInputView, algKernelView, algOutputView, algPlanes } from "./alg-planes.js";
import { el } from "./dom.js";
import { formatNumber } from "./numbers.js";

/** The loops as a panel: see algorithms.js. */
export const algNaivePanel = {
  id: "naive",
  label: "Naive",
  names: ["naive"],
  mount: algNaiveMount,
  idea: "The definition, written down: seven loops, and one multiplication in the innermost.",
  memory:
    "Only x (with its padding copied round it), the weight and out. Each number of x is read once " +
    "for every " +
    "window and output that it is in, jumping through memory; the interpreter takes a step for " +
    "every product.",
};

const ALG_NAIVE_CODE = [
  "for n in range(batch):",
  "  for i in range(out_height):",
  "    for j in range(out_width):",
  "      for o in range(out_channels):",
  "        total = 0",
  "        for u in range(kernel_height):",
  "          for v in range(kernel_width):",
  "            for c in range(group_channels):",
  "              total += (padded[n, c, i*s+u*d, j*s+v*d]\n                        * weight[o, c, " +
    "u, v])",
  "        out[n, o, i, j] = total",
];

function algNaiveMount(host, { model }) {
  let at = 0;
  const m = () => model();
  const code = algCode(ALG_NAIVE_CODE, "The seven loops");
  const parts = [
    algPart("x", "read"),
    algPart("weight", "of the output at work: read"),
    algPart("out", "written, one number after the other"),
  ];
  const state = el("p", { class: "alg-caption alg-sum" });
  host.append(
    el(
      "div",
      { class: "alg-stage" },
      algPart("The loops", "lit: the line at work", code.element, state).element,
      parts.map(({ element }) => element),
    ),
  );

  /** The loops' indices at a product: npconv's order, taps before channels. */
  const place = (product = at) => {
    const now = m();
    const inner = product % now.terms;
    const outer = Math.floor(product / now.terms);
    const tap = Math.floor(inner / now.channels);
    const [kernelHigh, kernelWide] = now.problem.kernelSize;
    const r = Math.floor(outer / now.outs);
    return {
      r,
      o: outer % now.outs,
      outer,
      inner,
      c: inner % now.channels,
      u: Math.floor(tap / kernelWide),
      v: tap % kernelWide,
      i: Math.floor(r / now.wide),
      j: r % now.wide,
      kernelHigh,
    };
  };
  const entry = ({ c, u, v }) =>
    m().columns.findIndex((term) => term.c === c && term.kh === u && term.kw === v);
  let now = { ...place(), read: m().read(0, 0), window: new Set() };

  const x = algPlanes(
    parts[0],
    algInputView(m, {
      mark: (c, i, j) =>
        !now.window.has(`${i},${j}`)
          ? ""
          : c === now.read.c && i === now.read.h && j === now.read.w
            ? "window focus"
            : "window",
    }),
  );
  const weight = algPlanes(
    parts[1],
    algKernelView(m, () => now.o, {
      mark: (c, i, j) => (c === now.c && i === now.u && j === now.v ? "focus" : ""),
    }),
  );
  const done = (o, r) => r * m().outs + o < now.outer || (at === last() && r * m().outs + o === now.outer);
  const out = algPlanes(
    parts[2],
    algOutputView(m, {
      mark: (o, i, j) => {
        const here = o === now.o && i === now.i && j === now.j;
        return `${done(o, i * m().wide + j) ? "" : "hole"}${here ? " focus" : ""}`;
      },
      onFocus: (cell) => cell && go(((cell.i * m().wide + cell.j) * m().outs + cell.c) * m().terms),
    }),
  );
  const last = () => m().rows * m().outs * m().terms - 1;
  const stepper = algStepper({
    label: "The loops",
    count: () => last() + 1,
    get: () => at,
    set: go,
    speed: "5",
    caption: () =>
      `Product ${now.inner + 1} of ${m().terms} for out[${m().n}, ${m().firstOut + now.o}, ` +
      `${now.i}, ${now.j}].`,
  });
  host.append(stepper.element);

  function go(product) {
    at = Math.min(product, last());
    draw();
  }

  function draw() {
    now = place();
    const k = entry(now);
    now.read = m().read(now.r, k);
    now.window = new Set(
      m().columns.map((_, each) => {
        const { h, w } = m().read(now.r, each);
        return `${h},${w}`;
      }),
    );
    let total = 0;
    for (let inner = 0; inner <= now.inner; inner += 1) {
      const each = entry(place(now.outer * m().terms + inner));
      total += m().patch(now.r, each) * m().kernel(each, now.o);
    }
    const term = algTerm(now.read.value, m().kernel(k, now.o));
    const ends = now.inner === m().terms - 1;
    code.light(ends ? [8, 9] : now.inner === 0 ? [4, 8] : [8], [
      `n = ${m().n}`,
      `i = ${now.i}`,
      `j = ${now.j}`,
      `o = ${m().firstOut + now.o}`,
      "",
      `u = ${now.u}`,
      `v = ${now.v}`,
      `c = ${now.c}`,
    ]);
    state.textContent = `total ${now.inner ? "+=" : "= 0 +"} ${term} → ${formatNumber(total)}`;
    [x, weight, out].forEach((grid) => grid.draw());
    stepper?.refresh();
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}
