// One tensor of a view: its heading, its grid, and how the cells that a reach meets are marked.

import { el, replace, svg } from "./dom.js";
import { createGrid } from "./grid.js";
import { formatNumber } from "./numbers.js";
import { cellName, isUnread, readX, reachKey } from "./reach.js";

const TENSOR_CHANNELS = (state, { shape }) => [shape[1], shape[2], shape[3]];
const TENSOR_KERNELS = (state, { shape }) => [shape[0] * shape[1], shape[2], shape[3]];
const TENSOR_COLUMN = (state, data) => [1, data.length, 1];

/** How each tensor lies in planes, and what a cell of a plane is called. */
const TENSOR_KINDS = {
  x: { name: "x", shape: TENSOR_CHANNELS, index: "c" },
  gradX: { name: "grad_x", shape: TENSOR_CHANNELS, index: "c" },
  out: { name: "out", shape: TENSOR_CHANNELS, index: "o" },
  gradOut: { name: "grad_out", shape: TENSOR_CHANNELS, index: "o" },
  weight: { name: "weight", shape: TENSOR_KERNELS, index: "oc" },
  gradWeight: { name: "grad_weight", shape: TENSOR_KERNELS, index: "oc" },
  bias: { name: "bias", shape: TENSOR_COLUMN, index: "" },
  gradBias: { name: "grad_bias", shape: TENSOR_COLUMN, index: "" },
};

/** Return the focus of a grid's cell { c, i, j }. */
export function tensorFocus(state, tensor, { c, i, j }) {
  const { index } = TENSOR_KINDS[tensor];
  if (index === "oc") {
    const depth = state.weight.shape[1];
    return { tensor, o: Math.floor(c / depth), c: c % depth, i, j };
  }
  return index ? { tensor, n: state.n, [index]: c, i, j } : { tensor, o: i };
}

/** Return a focus's cell in its grid: { c, i, j }. */
export function tensorCell(state, { tensor, o, c, i, j }) {
  const { index } = TENSOR_KINDS[tensor];
  if (index === "oc") return { c: o * state.weight.shape[1] + c, i, j };
  return index ? { c: index === "c" ? c : o, i, j } : { c: 0, i: o, j: 0 };
}

/** Return a focus as its tensor's index: "out[0, 1, 2, 3]". */
export function tensorName({ tensor, n, o, c, i, j }) {
  const { name, index } = TENSOR_KINDS[tensor];
  if (index === "oc") return cellName(name, o, c, i, j);
  return index ? cellName(name, n, index === "c" ? c : o, i, j) : cellName(name, o);
}

/**
 * Return { element, grid, refresh } of a tensor drawn with what is shown of it.
 *
 * options: tensor (its name in the state), title, about(state) (the words beside it), shown() the
 * reach and focus that are marked, as { reach, focus }; onHover(focus or null), onPin(focus),
 * onEdit(index, number); value(state, c, i, j) and mark(state, c, i, j) where they are special.
 */
export function createTensor(store, options) {
  const { tensor, title = TENSOR_KINDS[tensor].name, about, shown } = options;
  const kind = TENSOR_KINDS[tensor];
  const state = () => store.get();
  const padded = tensor === "x";
  const linked = padded || tensor === "gradX"; // copies in the padding, and what flows back from them
  const words = el("span", { class: "tensor-about" });
  const host = el("div", { class: "tensor-grid" });
  const element = el("section", { class: `tensor tensor-${tensor}` },
    el("h3", { class: "tensor-title" }, el("code", { text: title }), " ", words), host);
  const depth = () => state().weight.shape[1];

  function value(c, i, j) {
    const now = state();
    if (options.value) {
      const special = options.value(now, c, i, j);
      if (special !== undefined) return special;
    }
    if (padded) return readX(now, now.n, c, i, j).value;
    if (kind.index === "oc") return now[tensor].at(Math.floor(c / depth()), c % depth(), i, j);
    if (!kind.index) return now[tensor][i];
    const [, , rows, columns] = now[tensor].shape;
    return i < 0 || j < 0 || i >= rows || j >= columns ? 0 : now[tensor].at(now.n, c, i, j);
  }

  function mark(c, i, j) {
    const { reach, focus } = shown();
    const made = [options.mark ? options.mark(state(), c, i, j) : ""];
    if (reach) {
      const key = reachKey(c, i, j);
      if (reach.hits[tensor].has(key)) made.push("window");
      if (reach.sources.has(key) && linked) made.push("read");
      if (focus.tensor === tensor) {
        const at = tensorCell(state(), focus);
        if (at.c === c && at.i === i && at.j === j) made.push("focus");
      }
    }
    return made.join(" ");
  }

  function strength(c, i, j) {
    const { reach } = shown();
    const share = reach?.hits[tensor].get(reachKey(c, i, j));
    return share === undefined ? null : 0.1 + 0.9 * share;
  }

  function caption(c) {
    const { groups, inChannels, outChannels } = state().problem;
    if (kind.index === "oc") return `[${Math.floor(c / depth())}, ${c % depth()}]`;
    const count = kind.index === "c" ? inChannels : outChannels;
    const group = groups > 1 ? `, group ${Math.floor(c / (count / groups))}` : "";
    return `channel ${c}${group}`;
  }

  function describe(cell) {
    const now = state();
    const focus = tensorFocus(now, tensor, cell);
    const copy = padded && cell.padded ? readX(now, now.n, cell.c, cell.i, cell.j) : null;
    const from = copy && copy.sh >= 0 ? `, a copy of row ${copy.sh}, column ${copy.sw}` : ", a padded zero";
    const unread = /^(x|gradX)$/.test(tensor) && !cell.padded && isUnread(now.problem, cell.i, cell.j);
    return `${tensorName(focus)} = ${formatNumber(value(cell.c, cell.i, cell.j))}`
      + `${copy ? from : ""}${unread ? ", read by no window" : ""}`;
  }

  const grid = createGrid(host, {
    label: () => `${title}, ${about(state())}`,
    shape: () => kind.shape(state(), state()[tensor]),
    value, mark, strength, describe,
    caption: kind.index ? caption : null,
    pad: () => options.pad?.(state()) ?? [[0, 0], [0, 0]],
    mode: () => state().problem.mode,
    planes: kind.index === "oc" ? () => depth() : undefined,
    most: options.most ?? 36,
    onHover: (cell) => options.onHover(cell ? tensorFocus(state(), tensor, cell) : null),
    onFocus: (cell) => { if (cell) options.onPin(tensorFocus(state(), tensor, cell)); },
    onEdit: options.editable ? (cell, number) => {
      const { n, o, c, i, j } = tensorFocus(state(), tensor, cell);
      const index = { x: [n, c, i, j], weight: [o, c, i, j], gradOut: [n, o, i, j], bias: [o] }[tensor];
      store.edit(tensor, index, number);
    } : undefined,
  });
  const lines = svg("svg", { class: "tensor-links", "aria-hidden": "true" });
  if (linked) grid.element.append(lines);

  /** Draw an arrow from each padded copy to the cell that it copies. */
  function link() {
    const { reach } = shown();
    replace(lines, (reach?.links ?? []).map(({ from, to }) => {
      const [a, b] = [from, to].map((cell) => grid.box(...cell));
      if (!a || !b) return null;
      const [x1, y1, x2, y2] = [a.x, a.y, b.x, b.y].map((at) => at + a.size / 2);
      return [svg("line", { x1, y1, x2, y2 }), svg("circle", { cx: x2, cy: y2, r: 4 })];
    }));
  }

  function refresh() {
    words.textContent = about(state());
    grid.draw();
    if (linked) link();
  }

  return { element, grid, refresh, link, tensor };
}

/** Return a shape for people: "1 × 3 × 7 × 7". */
export function shapeText(shape) {
  return shape.join(" × ");
}
