// im2col of addresses: a table of where each tap's pixel lies, read straight into the registers.

import { algPart, algStepper } from "./alg-kit.js";
import { algInputView, algMatrix, algOutputView, algPlanes } from "./alg-planes.js";
import { ALG_ITEM } from "./alg-model.js";
import { el } from "./dom.js";
import { formatBytes, formatCount, formatNumber } from "./numbers.js";

/** The table of addresses as a panel: see algorithms.js. */
export const algIndirectPanel = {
  id: "indirect",
  label: "Indirect",
  names: ["indirect"],
  mount: algIndirectMount,
  idea:
    "Do not copy the windows: list where they are. A tile of outputs stays in registers while its " +
    "inputs are read " +
    "through the list.",
  memory:
    "x as it lies, channels last, so that an address leads to all channels of a pixel; one row of " +
    "zeros, which " +
    "every padded tap points to; the packed weight; and the addresses of a few tiles, not of the " +
    "whole image.",
};

const ALG_INDIRECT_ROWS = 13; // pixels of a tile of registers, as on a machine with 512-bit vectors

function algIndirectMount(host, { model }) {
  const m = () => model();
  let at = 0;
  const tiles = () => Math.ceil(m().rows / ALG_INDIRECT_ROWS);
  const tile = () => Math.floor(at / m().taps);
  const tap = () => at % m().taps;
  const first = () => tile() * ALG_INDIRECT_ROWS;
  const count = () => Math.min(ALG_INDIRECT_ROWS, m().rows - first());
  let [r, t] = [0, 0];
  const entry = (each, c = 0) =>
    m().columns.findIndex((term) => term.c === c && term.kh * m().problem.kernelSize[1] + term.kw === each);
  const listed = () =>
    Array.from({ length: m().taps }, (_, each) =>
      Array.from({ length: m().channels }, (__, c) => entry(each, c)),
    );
  let entries = listed();

  /** The offset in bytes of the pixel under a tap, from the image's first; -1: the row of zeros. */
  const pointer = (row, each) => {
    const { sh, sw } = m().read(row, entries[each][0]);
    if (sh < 0) return -1;
    const { problem, firstChannel } = m();
    return ((sh * problem.size[1] + sw) * problem.inChannels + firstChannel) * ALG_ITEM;
  };
  const said = (offset) => (offset < 0 ? "the row of zeros" : `byte ${formatCount(offset)}`);

  const parts = {
    x: algPart("x", "framed: the pixel that the address leads to, with all its channels"),
    table: algPart(
      "The table of addresses",
      "a row an output pixel, a column a tap: bytes from x's first; zero: the row of zeros",
    ),
    vector: algPart("What is read", "one after the other: the channels of that pixel"),
    weight: algPart("weights", ""),
    sums: algPart("The registers", `${ALG_INDIRECT_ROWS} pixels × a block of outputs: sums in work`),
    out: algPart("out", "written once, when a tile's last tap is done"),
  };
  const line = el("p", { class: "alg-caption alg-sum" });
  host.append(
    el(
      "div",
      { class: "alg-stage" },
      parts.x.element,
      parts.table.element,
      el("div", { class: "alg-stack" }, parts.vector.element, parts.weight.element),
      parts.sums.element,
      parts.out.element,
    ),
    line,
  );
  const x = algPlanes(
    parts.x,
    algInputView(m, {
      mark: (_, i, j) => {
        const { h, w, sh, sw } = m().read(r, entries[t][0]);
        if (sh === i && sw === j) return "focus";
        return h === i && w === j ? "read" : "";
      },
    }),
  );
  const table = algMatrix(parts.table.element, {
    label: "the table of addresses",
    rows: () => m().rows,
    columns: () => m().taps,
    value: pointer,
    format: (value) => (value < 0 ? "zero" : formatNumber(value, 6)),
    scale: () => 0,
    strength: (row, each) => (pointer(row, each) < 0 ? 0 : tint(row, each)),
    mark: (row, each) => {
      const work = row >= first() && row < first() + count() && each === tap();
      return `${work ? "window" : ""}${row === r && each === t ? " focus" : ""}`;
    },
    describe: (row, each) => `pixel ${row}, tap ${each}: ${said(pointer(row, each))}`,
    onPoint: (cell) => cell && hold(cell.r, cell.k),
    most: 30,
    least: 24,
    limit: [20, 25],
  });
  const tint = (row, each) => (row >= first() && row < first() + count() && each === tap() ? 0.22 : 0.04);
  const vector = algMatrix(parts.vector.element, {
    label: "the channels of the pixel",
    rows: () => 1,
    columns: () => m().channels,
    value: (_, c) => m().patch(r, entries[t][c]),
    scale: () => largest,
    most: 34,
    least: 20,
  });
  const weight = algMatrix(parts.weight.element, {
    label: "weight of the tap",
    rows: () => m().channels,
    columns: () => m().outs,
    value: (c, o) => m().kernel(entries[tap()][c], o),
    scale: () => weights,
    most: 34,
    least: 20,
  });
  const sums = algMatrix(parts.sums.element, {
    label: "sums in the registers",
    rows: () => ALG_INDIRECT_ROWS,
    columns: () => m().outs,
    value: (row, o) => total(first() + row, o),
    scale: () => 0,
    mark: (row) => (row >= count() ? "hole" : first() + row === r ? "window" : ""),
    most: 34,
    least: 26,
  });
  const out = algPlanes(
    parts.out,
    algOutputView(m, {
      mark: (_, i, j) => {
        const row = i * m().wide + j;
        const done = row < first() || (tap() === m().taps - 1 && row < first() + count());
        return `${done ? "" : "hole"}${row >= first() && row < first() + count() ? " window" : ""}`;
      },
    }),
  );
  const stepper = algStepper({
    label: "Tiles and taps",
    count: () => tiles() * m().taps,
    get: () => at,
    set: (step) => {
      at = step;
      [r, t] = [first(), tap()];
      draw();
    },
    caption: () =>
      `Tile ${tile() + 1} of ${tiles()}, tap ${tap() + 1} of ${m().taps}: ${count()} addresses are ` +
      "read, and " +
      `${count()} × ${m().outs} sums grow by ${m().channels} ` +
      `product${m().channels === 1 ? "" : "s"} each.`,
  });
  host.append(stepper.element);
  let [largest, weights] = [1, 1];

  function total(row, o) {
    if (row >= m().rows) return 0;
    let sum = 0;
    for (let each = 0; each <= tap(); each += 1) {
      entries[each].forEach((k) => {
        sum += m().patch(row, k) * m().kernel(k, o);
      });
    }
    return sum;
  }

  function hold(row, each) {
    [r, t] = [row, each];
    at = Math.floor(row / ALG_INDIRECT_ROWS) * m().taps + each;
    draw(false);
  }

  function draw(follow = true) {
    at = Math.min(at, tiles() * m().taps - 1);
    entries = listed();
    [r, t] = [Math.min(r, m().rows - 1), Math.min(t, m().taps - 1)];
    largest = Math.max(...m().x.data.map(Math.abs), 1e-9);
    weights = Math.max(...m().weight.data.map(Math.abs), 1e-9);
    [x, vector, weight, sums, out].forEach((grid) => grid.draw());
    if (follow) table.show(r, t);
    else table.draw();
    const [high, wide] = m().problem.kernelSize;
    parts.weight.small.textContent =
      `weight[:, :, ${Math.floor(tap() / wide)}, ${tap() % wide}], ` + "channels × outputs";
    const offset = pointer(r, t);
    const { h, w } = m().read(r, entries[t][0]);
    line.textContent =
      `Pixel ${r} = (${m().cell(r).join(", ")}), tap (${Math.floor(t / wide)}, ${t % wide}) of ` +
      `${high}×${wide}: ` +
      `${
        offset < 0
          ? `row ${h}, column ${w} is padding, so the address is the row of zeros`
          : `address of row ${h}, column ${w} of x, ${said(offset)}`
      }. The whole list would be ` +
      `${formatBytes(8 * m().rows * m().taps)}; the patch matrix is ` +
      `${formatBytes(ALG_ITEM * m().rows * m().terms)}, ` +
      "and grows with the channels: the list does not.";
    stepper.refresh();
  }
  draw();
  return { refresh: draw, stop: stepper.stop };
}
