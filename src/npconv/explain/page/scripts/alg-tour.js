// im2col in a minute: five steps in plain words, over the numbers on screen.

import { algPart, algStepper } from "./alg-kit.js";
import { algInputView, algKernelView, algMatrix, algOutputView, algPlanes } from "./alg-planes.js";
import { ALG_TOUR_STEPS, algTourSaid, algTourSum } from "./alg-tour-words.js";
import { button, el, reducedMotion, replace } from "./dom.js";
import { formatNumber } from "./numbers.js";

/** The tour as a panel: see algorithms.js. */
export const algTourPanel = { id: "tour", label: "im2col in a minute", names: [], mount: algTourMount };

const ALG_TOUR_FILL = 2200; // milliseconds that filling the matrix takes

function algTourMount(host, { model, kept }) {
  let [step, r, o, k, filled, timer] = [kept.step ?? 0, 0, 0, -1, 1, 0];
  let window = new Set();
  let largest = 1;
  const m = () => model();
  r = m().wide > 2 ? m().wide + 1 : 0;
  r = Math.min(r, m().rows - 1);

  const title = el("h3", { class: "alg-tour-title", "aria-live": "polite" });
  const text = el("p", { class: "alg-tour-text" });
  const sum = el("p", { class: "alg-caption alg-sum" });
  const back = button("Back", () => go(step - 1));
  const next = button("Next", () => go(step + 1), { class: "primary" });
  const dots = ALG_TOUR_STEPS.map((one, at) =>
    el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          class: "alg-dot",
          "aria-label": `Step ${at + 1}: ${one.title}`,
          onClick: () => go(at),
        },
        String(at + 1),
      ),
    ),
  );
  const guide = el(
    "section",
    { class: "alg-tour-guide", "aria-label": "Guided tour of im2col" },
    title,
    text,
    el("div", { class: "alg-tour-turns" }, back, el("ol", { class: "alg-dots" }, dots), next),
    sum,
  );

  const parts = {
    x: algPart("x", "the input; a window of it is outlined"),
    met: algPart("the window", "x under the kernel"),
    kernel: algPart("× weight", "of one output"),
    terms: algPart("= products", ""),
    patches: algPart("The patch matrix", "one row a window, one column a number in it"),
    columns: algPart("× kernels", "a column each"),
    product: algPart("= out", "row times column"),
    out: algPart("out", ""),
  };
  const stage = el(
    "div",
    { class: "alg-stage alg-tour-stage" },
    parts.x.element,
    parts.met.element,
    parts.kernel.element,
    parts.terms.element,
    parts.patches.element,
    parts.columns.element,
    parts.product.element,
    parts.out.element,
  );
  host.append(guide, stage);

  const x = algPlanes(
    parts.x,
    algInputView(m, {
      mark: (c, i, j) => {
        if (!window.has(`${i},${j}`)) return "";
        const read = k >= 0 ? m().read(r, k) : null;
        return read && read.c === c && read.h === i && read.w === j ? "window focus" : "window";
      },
      onHover: (cell) => cell && point(algTourWindowAt(m(), cell), o, -1),
      onFocus: (cell) => cell && point(algTourWindowAt(m(), cell), o, -1),
      most: 17,
    }),
  );
  const entryAt = (c, i, j) => m().columns.findIndex((term) => algTourIs(term, c, i, j));
  const small = (part, more) =>
    algPlanes(
      part,
      algKernelView(m, () => o, {
        most: 30,
        mark: (c, i, j) => (k >= 0 && algTourIs(m().columns[k], c, i, j) ? "focus" : ""),
        onHover: (cell) => cell && point(r, o, entryAt(cell.c, cell.i, cell.j)),
        onFocus: (cell) => cell && point(r, o, entryAt(cell.c, cell.i, cell.j)),
        ...more,
      }),
    );
  const met = small(parts.met, {
    label: "the window",
    scale: () => largest,
    caption: (c) => `x, channel ${m().firstChannel + c}`,
    value: (c, i, j) => m().patch(r, entryAt(c, i, j)),
  });
  const kernel = small(parts.kernel, {});
  const terms = small(parts.terms, {
    label: "the products",
    caption: (c) => `channel ${m().firstChannel + c}`,
    value: (c, i, j) => m().patch(r, entryAt(c, i, j)) * m().kernel(entryAt(c, i, j), o),
  });
  const shown = (row) => (step === 1 ? row === r : row < filled);
  const patches = algMatrix(parts.patches.element, {
    label: "the patch matrix",
    rows: () => m().rows,
    columns: () => m().terms,
    value: (row, at) => m().patch(row, at),
    scale: () => largest,
    mark: (row, at) =>
      !shown(row) ? "hole" : `${row === r ? "window" : ""}${row === r && at === k ? " focus" : ""}`,
    describe: (row, at) => algTourSaid(m(), row, at),
    onPoint: (cell) => cell && shown(cell.r) && point(cell.r, o, cell.k, false),
    most: 17,
    least: 8,
    limit: [32, 48],
  });
  const columns = algMatrix(parts.columns.element, {
    label: "the kernels as columns",
    rows: () => m().terms,
    columns: () => m().outs,
    value: (at, out) => m().kernel(at, out),
    mark: (at, out) => `${out === o ? "window" : ""}${out === o && at === k ? " focus" : ""}`,
    onPoint: (cell) => cell && point(r, cell.k, cell.r, false),
    most: 19,
    least: 12,
    limit: [32, 8],
  });
  const product = algMatrix(parts.product.element, {
    label: "the product, a row a window and a column an output",
    rows: () => m().rows,
    columns: () => m().outs,
    value: (row, out) => m().product(row, out),
    scale: () => 0,
    mark: (row, out) => (row === r && out === o ? "focus" : ""),
    onPoint: (cell) => cell && point(cell.r, cell.k, -1, false),
    most: 28,
    least: 14,
    limit: [19, 8],
  });
  const out = algPlanes(
    parts.out,
    algOutputView(m, {
      mark: (c, i, j) => (c === o && i * m().wide + j === r ? "focus" : ""),
      onHover: (cell) => cell && point(cell.i * m().wide + cell.j, cell.c, -1),
      onFocus: (cell) => cell && point(cell.i * m().wide + cell.j, cell.c, -1),
      most: 17,
    }),
  );
  const stepper = algStepper({
    label: "Rows times columns",
    count: () => m().rows * m().outs,
    get: () => o * m().rows + r,
    set: (at) => point(at % m().rows, Math.floor(at / m().rows), -1),
    caption: () => "",
  });
  host.append(stepper.element);
  /** Look at window r, output o and, unless -1, entry k of their sum; follow: bring it into view. */
  function point(row, output, entry, follow = true) {
    [r, o, k] = [row, output, entry];
    draw(follow);
  }

  function draw(follow = true) {
    const now = m();
    window = new Set(
      now.columns.map((_, at) => {
        const { h, w } = now.read(r, at);
        return `${h},${w}`;
      }),
    );
    // What is painted first, what is written after it: so nothing is measured twice.
    [x, ...(step === 0 ? [met, kernel, terms] : step === 3 ? [kernel] : []), out].forEach((grid) =>
      grid.draw(),
    );
    if (follow) {
      patches.show(r, Math.max(k, 0));
      columns.show(Math.max(k, 0), o);
      product.show(r, o);
    } else [patches, columns, product].forEach((matrix) => matrix.draw());
    if (step === 4) stepper.refresh();
    parts.terms.small.textContent = `added up: ${formatNumber(now.product(r, o))}`;
    replace(sum, algTourSum(now, r, o, k));
  }

  function go(to) {
    step = Math.min(Math.max(to, 0), ALG_TOUR_STEPS.length - 1);
    kept.step = step; // when the problem changes the tour goes on
    const visible = {
      x: true,
      met: step === 0,
      kernel: step === 0 || step === 3,
      terms: step === 0,
      patches: step >= 1,
      columns: step >= 3,
      product: step >= 4,
      out: step === 0 || step === 4,
    };
    Object.entries(visible).forEach(([name, on]) => {
      parts[name].element.hidden = !on;
    });
    parts.out.small.textContent = step === 0 ? "one number of it is outlined" : "its columns, folded back";
    stepper.element.hidden = step < 4;
    host.dataset.step = String(step + 1);
    back.disabled = step === 0;
    next.disabled = step === ALG_TOUR_STEPS.length - 1;
    dots.forEach((dot, at) => {
      if (at === step) dot.firstChild.setAttribute("aria-current", "step");
      else dot.firstChild.removeAttribute("aria-current");
    });
    title.textContent = `${step + 1}. ${ALG_TOUR_STEPS[step].title}`;
    text.textContent = ALG_TOUR_STEPS[step].text(m());
    fill();
    draw();
  }

  /** Fill the patch matrix, over some time where it has just been met. */
  function fill() {
    clearInterval(timer);
    filled = m().rows;
    if (step !== 2 || reducedMotion()) return;
    filled = 1;
    const start = performance.now();
    timer = setInterval(() => {
      const share = (performance.now() - start) / ALG_TOUR_FILL;
      filled = Math.max(Math.min(Math.ceil(share * m().rows), m().rows), 1);
      if (filled === m().rows || !host.isConnected) clearInterval(timer);
      point(filled - 1, o, -1);
    }, 40);
  }

  function refresh() {
    largest = Math.max(...m().x.data.map(Math.abs), 1e-9);
    draw();
    text.textContent = ALG_TOUR_STEPS[step].text(m());
  }
  largest = Math.max(...m().x.data.map(Math.abs), 1e-9);
  go(step);
  return {
    refresh,
    stop: () => {
      clearInterval(timer);
      filled = m().rows;
      stepper.stop();
    },
  };
}

/** The window, of those that are, whose middle is nearest to a cell of x. */
function algTourWindowAt(model, { i, j }) {
  const { problem, high, wide } = model;
  const [row, column] = [i, j].map((at, axis) => {
    const span = problem.dilation[axis] * (problem.kernelSize[axis] - 1);
    const nearest = Math.round((at + problem.padding[axis][0] - span / 2) / problem.stride[axis]);
    return Math.min(Math.max(nearest, 0), (axis ? wide : high) - 1);
  });
  return row * wide + column;
}

function algTourIs(term, c, i, j) {
  return term.c === c && term.kh === i && term.kw === j;
}
