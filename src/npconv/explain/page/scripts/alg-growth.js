// How costs grow with the side of the image: small charts, both axes logarithmic.

import { algCosts, ALG_NAMES } from "./alg-costs.js";
import { el, replace, svg } from "./dom.js";
import { outSize } from "./geometry.js";
import { formatBytes, formatCount, formatNumber, formatSeconds } from "./numbers.js";

export const ALG_GROWTH_SIDES = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
const ALG_CHART = { width: 440, height: 210, left: 54, right: 14, top: 10, bottom: 24 };
const ALG_QUANTITIES = [
  { key: "macs", title: "Multiply-adds", format: algShortCount, base: 10 },
  { key: "nbytes", title: "Bytes moved by copies and passes", format: formatBytes, base: 32 },
  { key: "workspace", title: "Workspace", format: formatBytes, base: 32 },
  { key: "seconds", title: "Estimated time", format: formatSeconds, base: 10 },
];

/** Return a count in few characters: "1.2 M". */
function algShortCount(value) {
  const units = [
    [1e12, " T"],
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ];
  const [scale, unit] = units.find(([least]) => value >= least) ?? [1, ""];
  return `${formatNumber(value / scale, 3)}${unit}`;
}

/** Return { sides, rows: { name: { macs, nbytes, workspace, seconds: lists } } } of a problem. */
export function algGrowth(problem, given) {
  if (given.same && given.growth) {
    const rows = Object.fromEntries(
      Object.entries(given.growth.rows).map(([name, row]) => [
        name,
        { ...row, macs: row.flops.map((flops) => (flops === null ? null : flops / 2)) },
      ]),
    );
    return { sides: given.growth.sides, rows };
  }
  const rows = Object.fromEntries(ALG_NAMES.map((name) => [name, { macs: [], nbytes: [], workspace: [] }]));
  const flat = problem.size[0] === 1 && problem.kernelSize[0] === 1;
  for (const side of ALG_GROWTH_SIDES) {
    const sized = { ...problem, size: flat ? [1, side] : [side, side] };
    const costs = outSize(sized).every((n) => n > 0) ? algCosts(sized) : {};
    for (const name of ALG_NAMES) {
      for (const key of ["macs", "nbytes", "workspace"]) {
        const value = costs[name]?.[key];
        rows[name][key].push(value > 0 && Number.isFinite(value) ? value : null);
      }
    }
  }
  return { sides: ALG_GROWTH_SIDES, rows };
}

/** Return { element, refresh(growth, chosen, side) } of the charts; names are drawn, chosen stand out. */
export function algGrowthCharts() {
  const element = el("div", { class: "alg-charts" });
  const refresh = ({ sides, rows }, chosen, side) =>
    replace(
      element,
      ALG_QUANTITIES.filter(({ key }) =>
        Object.values(rows).some((row) => row[key]?.some((value) => value > 0)),
      ).map((quantity) => algChart(quantity, sides, rows, chosen, side)),
    );
  return { element, refresh };
}

function algChart({ key, title, format, base }, sides, rows, chosen, side) {
  const { width, height, left, right, top, bottom } = ALG_CHART;
  const lines = Object.entries(rows).map(([name, row]) => [name, row[key] ?? []]);
  const values = lines.flatMap(([, list]) => list.filter((value) => value > 0));
  const power = (value) => Math.log(value) / Math.log(base);
  const [low, high] = [Math.floor(power(Math.min(...values))), Math.ceil(power(Math.max(...values)))];
  const x = (at) =>
    left +
    ((Math.log2(at) - Math.log2(sides[0])) / (Math.log2(sides[sides.length - 1]) - Math.log2(sides[0]))) *
      (width - left - right);
  const y = (value) =>
    height - bottom - ((power(value) - low) / Math.max(high - low, 1)) * (height - top - bottom);
  const path = (list) => {
    let open = false;
    return list
      .map((value, at) => {
        if (!(value > 0)) {
          open = false;
          return "";
        }
        const part = `${open ? "L" : "M"}${x(sides[at]).toFixed(1)} ${y(value).toFixed(1)}`;
        open = true;
        return part;
      })
      .join("");
  };
  const step = Math.max(Math.ceil((high - low) / 4), 1);
  const powers = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, at) => low + at * step);
  const grid = powers.map((at) => [
    svg("line", {
      class: "alg-chart-grid",
      x1: left,
      x2: width - right,
      y1: y(base ** at),
      y2: y(base ** at),
    }),
    svg(
      "text",
      { class: "alg-chart-text", x: left - 6, y: y(base ** at) + 3.5, "text-anchor": "end" },
      format(base ** at),
    ),
  ]);
  const ticks = sides
    .filter((at) => Math.log2(at) % 2 === 1 || at === sides[sides.length - 1])
    .map((at) =>
      svg(
        "text",
        { class: "alg-chart-text", x: x(at), y: height - 7, "text-anchor": "middle" },
        String(at),
      ),
    );
  const inside = side >= sides[0] && side <= sides[sides.length - 1];
  const now = inside
    ? svg("line", { class: "alg-chart-now", x1: x(side), x2: x(side), y1: top, y2: height - bottom })
    : null;
  const quiet = lines.filter(([name]) => !chosen.includes(name));
  const strong = lines.filter(([name]) => chosen.includes(name));
  const drawn = [...quiet, ...strong].map(([name, list]) =>
    svg(
      "path",
      { d: path(list), class: `alg-chart-line${chosen.includes(name) ? " is-chosen" : ""}` },
      svg("title", {}, name),
    ),
  );
  const dots = strong.map(([, list]) => {
    const value = algBetween(sides, list, side);
    return inside && value > 0
      ? svg("circle", { class: "alg-chart-dot", cx: x(side), cy: y(value), r: 4.5 })
      : null;
  });
  const said = strong
    .map(([name, list]) => {
      const [first, last] = [list.find((value) => value > 0), list[list.length - 1]];
      return (
        `${name}: ${format(first ?? 0)} at side ${sides[0]}, ` +
        `${last > 0 ? format(last) : "not possible"} at ${sides[sides.length - 1]}`
      );
    })
    .join("; ");
  const best = algBetween(sides, strong[0]?.[1] ?? [], side);
  return el(
    "figure",
    { class: "alg-chart" },
    el("figcaption", {}, title, best > 0 && inside ? el("b", { text: ` ${format(best)}` }) : ""),
    svg(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `${title} over the side of the image. ${said}`,
      },
      grid,
      ticks,
      now,
      drawn,
      dots,
    ),
  );
}

/** The value at a side, along a straight line of logarithms between those known. */
function algBetween(sides, list, side) {
  const after = sides.findIndex((at) => at >= side);
  if (after < 0) return 0;
  if (sides[after] === side || after === 0) return list[after] ?? 0;
  const [a, b] = [list[after - 1], list[after]];
  if (!(a > 0 && b > 0)) return 0;
  const share = Math.log(side / sides[after - 1]) / Math.log(sides[after] / sides[after - 1]);
  return Math.exp(Math.log(a) * (1 - share) + Math.log(b) * share);
}

/** Return a number of multiplications for people: whole while it is short. */
export function algCountText(value) {
  return value < 1e7 ? formatCount(value) : algShortCount(value);
}
