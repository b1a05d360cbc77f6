// im2col by strided view: the same buffer, read as windows by six strides; reshape is the one copy.

import { algPart, algStepper } from "./alg-kit.js";
import { algInputView, algMatrix, algPlanes } from "./alg-planes.js";
import { ALG_ITEM, algBuffer } from "./alg-model.js";
import { el, replace } from "./dom.js";
import { createGrid } from "./grid.js";
import { formatBytes, formatCount, formatNumber } from "./numbers.js";

/** The view as a panel: see algorithms.js. */
export const algViewPanel = {
  id: "view",
  label: "im2col: view",
  names: ["im2col_view"],
  mount: algViewMount,
  idea:
    "The windows are in x's memory already: shape and strides say where. Only reshape copies, " +
    "in one call.",
  memory:
    "One buffer, seen twice: as an image, and as windows that overlap. The view costs nothing; " +
    "laying its numbers " +
    "side by side for the product is the patch matrix, written and read once.",
};

const ALG_VIEW_LINES = [
  [1100, 32],
  [4200, 64],
  [Infinity, 128],
]; // numbers, and numbers a line of memory

function algViewMount(host, { model }) {
  const m = () => model();
  let [r, k] = [Math.min(m().wide + 1, m().rows - 1), 0];
  let buffer = algBuffer(m());
  let lit = new Map();
  const wide = () => ALG_VIEW_LINES.find(([most]) => buffer.count <= most)[1];
  const parts = {
    x: algPart("Seen as an image", "padded x"),
    memory: algPart("The buffer", ""),
    patches: algPart("Seen as windows, laid out by reshape", "a row a window; point at an entry"),
  };
  const table = el("tbody");
  const axes = el(
    "div",
    { class: "scroll", role: "region", "aria-label": "Shape and strides of the view", tabIndex: 0 },
    el(
      "table",
      { class: "numbers alg-strides" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["axis", "length", "stride", "here", "adds"].map((text) => el("th", { scope: "col", text })),
        ),
      ),
      table,
    ),
  );
  const shape = algPart("The view", "six lengths and six strides, nothing else", axes);
  const line = el("p", { class: "alg-caption alg-sum" });
  const bars = el("div", { class: "alg-bars" });
  host.append(
    el("div", { class: "alg-stage" }, parts.x.element, shape.element),
    parts.memory.element,
    line,
    el(
      "div",
      { class: "alg-stage" },
      parts.patches.element,
      el("div", { class: "alg-part alg-copies" }, bars),
    ),
  );
  parts.memory.element.classList.add("alg-whole");

  const hold = (row, entry, follow = false) => {
    [r, k] = [row, entry];
    draw(follow);
  };
  const x = algPlanes(
    parts.x,
    algInputView(m, {
      most: 20,
      mark: (c, i, j) => {
        const at = lit.get(buffer.address(c + m().firstChannel, i, j));
        return inBuffer(i, j) && at !== undefined ? (at === k ? "window focus" : "window") : "";
      },
    }),
    3,
  );
  const inBuffer = (i, j) =>
    [i, j].every((at, axis) => at >= buffer.first[axis] && at < buffer.first[axis] + buffer.extent[axis]);
  const held = (at) => {
    const { c, h, w } = buffer.place(at);
    const group = c - m().firstChannel;
    return m().padded(group, h, w);
  };
  const memory = createGrid(parts.memory.element, {
    label: "the buffer, in the order of its addresses",
    shape: () => [1, Math.ceil(buffer.count / wide()), wide()],
    value: (_, i, j) => (i * wide() + j < buffer.count ? held(i * wide() + j) : 0),
    scale: () => largest,
    mark: (_, i, j) => {
      const at = i * wide() + j;
      if (at >= buffer.count) return "hole";
      const entry = lit.get(at);
      return entry === undefined ? "" : entry === k ? "window focus" : "window";
    },
    describe: ({ i, j }) => {
      const at = i * wide() + j;
      if (at >= buffer.count) return "after the end of the buffer";
      const { c, h, w } = buffer.place(at);
      return `byte ${at * ALG_ITEM}: ${formatNumber(held(at))}, channel ${c}, row ${h}, column ${w}`;
    },
    onHover: (cell) => cell && touch(cell),
    onFocus: (cell) => cell && touch(cell),
    most: 30,
    least: 5,
  });
  const touch = ({ i, j }) => {
    const entry = lit.get(i * wide() + j);
    if (entry !== undefined) hold(r, entry);
  };
  const patches = algMatrix(parts.patches.element, {
    label: "the patch matrix",
    rows: () => m().rows,
    columns: () => m().terms,
    value: (row, entry) => m().patch(row, entry),
    scale: () => largest,
    mark: (row, entry) => (row !== r ? "" : entry === k ? "window focus" : "window"),
    onPoint: (cell) => cell && hold(cell.r, cell.k),
    most: 22,
    least: 8,
    limit: [16, 48],
  });
  const stepper = algStepper({
    label: "Entries in the order that reshape copies",
    count: () => m().rows * m().terms,
    get: () => r * m().terms + k,
    set: (at) => hold(Math.floor(at / m().terms), at % m().terms, true),
    caption: () => "",
  });
  host.append(stepper.element);
  let largest = 1;

  function strides() {
    const { steps } = buffer;
    const { stride, dilation, kernelSize, inChannels } = m().problem;
    const [i, j] = m().cell(r);
    const { c, kh, kw } = m().columns[k];
    const axis = (name, length, step, formula, at) => ({ name, length, step, formula, at });
    const pixel = [
      axis("i", m().high, steps.h * stride[0], stride[0] > 1 ? `${stride[0]} rows` : "a row", i),
      axis("j", m().wide, steps.w * stride[1], stride[1] > 1 ? `${stride[1]} columns` : "a column", j),
    ];
    const taps = [
      axis(
        "u",
        kernelSize[0],
        steps.h * dilation[0],
        dilation[0] > 1 ? `${dilation[0]} rows` : "a row",
        kh,
      ),
      axis(
        "v",
        kernelSize[1],
        steps.w * dilation[1],
        dilation[1] > 1 ? `${dilation[1]} columns` : "a column",
        kw,
      ),
    ];
    const channel = axis("c", inChannels, steps.c, "a channel", c + m().firstChannel);
    const image = axis("n", m().problem.batch, buffer.count, "an image", m().n);
    return [image, ...pixel, ...(m().last ? [...taps, channel] : [channel, ...taps])];
  }

  function draw(follow = true) {
    buffer = algBuffer(m());
    [r, k] = [Math.min(r, m().rows - 1), Math.min(k, m().terms - 1)];
    largest = Math.max(...m().x.data.map(Math.abs), 1e-9);
    lit = new Map(
      m().columns.map((term, at) => {
        const { h, w } = m().read(r, at);
        return [buffer.address(term.c + m().firstChannel, h, w), at];
      }),
    );
    [x, memory].forEach((grid) => grid.draw());
    if (follow) patches.show(r, k);
    else patches.draw();
    stepper.refresh();
    write();
  }

  function write() {
    const all = strides();
    replace(
      table,
      all.map(({ name, length, step, formula, at }) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, el("code", { text: name }), ` ${formula}`),
          el("td", { text: formatCount(length) }),
          el("td", { text: `${formatCount(step * ALG_ITEM)} B` }),
          el("td", { text: `${name} = ${at}` }),
          el("td", { text: `${formatCount(at * step * ALG_ITEM)} B` }),
        ),
      ),
    );
    const { h, w } = m().read(r, k);
    const address = buffer.address(m().columns[k].c + m().firstChannel, h, w);
    const origin = buffer.origin ? `${formatCount(buffer.origin * ALG_ITEM)} + ` : "";
    const parts = all
      .filter(({ name }) => name !== "n")
      .map(({ at, step }) => `${at}·${formatCount(step * ALG_ITEM)}`)
      .join(" + ");
    line.textContent =
      `Entry (${r}, ${k}) is read at byte ${origin}${parts} = ${formatCount(address * ALG_ITEM)} ` +
      `of the image: ${formatNumber(m().patch(r, k))}.`;
    const bytes = buffer.count * ALG_ITEM;
    const whole = m().rows * m().problem.inChannels * m().taps * ALG_ITEM;
    const bar = (name, nbytes, note) =>
      el(
        "div",
        { class: "alg-bar-row" },
        el("span", { class: "alg-bar-name", text: name }),
        el(
          "span",
          { class: "alg-bar-track", "aria-hidden": true },
          el("span", {
            class: "alg-bar-fill",
            style: { width: `${Math.max((100 * nbytes) / Math.max(whole, bytes), 0.4)}%` },
          }),
        ),
        el("span", { class: "alg-bar-value", text: `${formatBytes(nbytes)} ${note}` }),
      );
    replace(
      bars,
      bar("the buffer", bytes, buffer.copied ? "(x copied into its padding)" : "(x itself, no copy)"),
      bar("the view", 0, "moved: it is six pairs of numbers"),
      bar("after reshape", whole, `copied: ${formatNumber(whole / bytes, 3)} times the buffer`),
    );
    const each = wide() * ALG_ITEM;
    describe(each);
  }

  function describe(each) {
    parts.memory.small.textContent =
      `${formatCount(buffer.count)} numbers, one address after the other; a line here is ${each} ` +
      `bytes, ${each / 64} lines of the cache. ${
        m().last
          ? "Channels last: the numbers of a pixel lie together."
          : "Channels first: one plane after the other."
      } Framed: what the window reads.`;
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}
