// The arithmetic of a reach, written out: channel by channel, long sums elided, all on demand.

import { el, liveLine, replace } from "./dom.js";
import { formatCount, formatFactor, formatNumber } from "./numbers.js";

const TERMS_HEAD = 5; // products shown before the dots of a long sum
const TERMS_TAIL = 2;

/** Return { element, show, say } of the panel that writes a reach's arithmetic out. */
export function createTerms(empty) {
  const line = liveLine({ class: "terms-line" });
  const body = el("div", { class: "terms-all", tabIndex: 0, role: "group", "aria-label": "All products" });
  const summary = el("summary", {});
  const details = el("details", { class: "terms-details", onToggle: () => fill() }, summary, body);
  const element = el("section", { class: "terms", "aria-label": "Arithmetic of the cell" },
    line.element, details);
  let shown = null;

  function fill() {
    if (!details.open || !shown) return;
    replace(body, shown.groups.map((group) => el("div", { class: "terms-group" },
      el("h4", { text: `${group.label}: ${formatNumber(group.sum, 6)}` }),
      el("ol", { class: "terms-list" }, group.terms.map(termsItem)))));
  }

  /** Write a reach (null: the empty line), or other words in its place. */
  function show(reach) {
    shown = reach;
    details.hidden = !reach || !reach.groups.length;
    if (!reach) {
      line.show(el("p", { class: "terms-empty", text: empty }));
      return;
    }
    line.show(termsTitle(reach), termsGroups(reach));
    const products = reach.count === 1 ? "product" : "products";
    summary.textContent = reach.count === 1 ? "The product" : `All ${formatCount(reach.count)} ${products}`;
    fill();
  }

  show(null);
  return { element, show, say: (reach) => line.say(reach ? termsSpoken(reach) : "") };
}

/** The first line: the cell, what it sums by channel, and what it comes to. */
function termsTitle(reach) {
  const name = el("strong", { class: "terms-name", text: reach.title });
  const value = el("b", { class: "terms-value", text: formatNumber(reach.value, 6) });
  if (reach.note) return el("p", { class: "terms-title" }, name, " = ", value, ". ", reach.note);
  if (reach.gives) {
    const copy = reach.copyOf ? `, a copy of ${reach.copyOf},` : "";
    const zero = reach.zero ? ", a padded zero," : "";
    const verb = reach.count ? ` stands in ${termsCounted(reach)}` : " is read by no window";
    return el("p", { class: "terms-title" }, name, " = ", value, `${copy}${zero}${verb}.`);
  }
  const parts = [];
  if (reach.lead) parts.push(termsPart(reach.lead.value, reach.lead.label));
  reach.groups.forEach((group) => parts.push(termsPart(group.sum, group.label)));
  const shown = parts.length > 10 ? [...parts.slice(0, 7), el("span", { text: "…" }), ...parts.slice(-2)]
    : parts;
  const joined = shown.flatMap((part, at) => (at ? [" + ", part] : [part]));
  return el("p", { class: "terms-title" }, name, " = ", joined.length ? [joined, " = "] : null, value);
}

function termsPart(value, label) {
  return el("span", { class: "terms-part" }, el("span", { text: formatFactor(value, 5) }),
    el("small", { text: label }));
}

function termsCounted(reach) {
  const zeros = reach.zeros && !reach.zero ? `, ${formatCount(reach.zeros)} with a padded zero` : "";
  return `${formatCount(reach.count)} product${reach.count === 1 ? "" : "s"}${zeros}`;
}

/** A line a group: label, the products (the middle of a long sum left out), the sum. */
function termsGroups(reach) {
  const rows = reach.groups.slice(0, 8).map((group) => el("div", { class: "terms-row" },
    el("span", { class: "terms-label", text: group.label }),
    el("span", { class: "terms-products" }, termsElided(reach, group.terms)),
    reach.gives ? null : el("span", { class: "terms-sum", text: `= ${formatNumber(group.sum, 6)}` })));
  const left = reach.groups.length - rows.length;
  return el("div", { class: "terms-rows" }, rows,
    left > 0 ? el("p", { class: "terms-more", text: `and ${left} more` }) : null);
}

function termsElided(reach, terms) {
  const join = reach.gives ? ",  " : " + ";
  const left = terms.length - TERMS_HEAD - TERMS_TAIL;
  const written = (list) => list.flatMap((term, at) => [at ? join : null, termsProduct(reach, term)]);
  if (left < 2) return written(terms);
  return [written(terms.slice(0, TERMS_HEAD)), join,
    el("span", { class: "terms-dots", text: `… ${left} more …` }), join,
    written(terms.slice(-TERMS_TAIL))];
}

/** One product: padded zeros and copies are told apart by more than colour. */
function termsProduct(reach, term) {
  const kind = `term${term.zero ? " term-zero" : ""}${term.copied ? " term-copied" : ""}`;
  const title = term.zero ? `${term.at} (a padded zero)` : term.at;
  if (term.right === null) return el("span", { class: kind, title }, formatFactor(term.left));
  const text = `${formatFactor(term.left)}·${formatFactor(term.right)}`;
  if (!reach.gives) return el("span", { class: kind, title }, text);
  return el("span", { class: kind, title }, `${text} = ${formatNumber(term.product)} `,
    el("small", { text: `→ ${termsShort(term.to)}` }));
}

/** "out[0, 1, 2, 3]" without its image: "[1, 2, 3]". */
function termsShort(name) {
  return name.replace(/^(out|grad_x)\[\d+, /, "[").replace(/^grad_weight/, "");
}

function termsItem(term) {
  const kind = `${term.zero ? "term-zero" : ""}${term.copied ? "term-copied" : ""}`;
  const right = term.right === null ? "" : ` · ${formatFactor(term.right, 6)} = ${formatNumber(term.product, 6)}`;
  const to = term.to ? ` → ${term.to}` : "";
  const why = term.zero ? " (padded zero)" : term.copied ? " (padded copy)" : "";
  return el("li", { class: kind }, el("code", { text: term.at }),
    el("span", { text: `${formatFactor(term.left, 6)}${right}${to}${why}` }));
}

/** The arithmetic as one sentence to be read aloud. */
function termsSpoken(reach) {
  const value = formatNumber(reach.value, 6);
  if (reach.note) return `${reach.title} = ${value}. ${reach.note}`;
  if (reach.gives) return `${reach.title} = ${value} stands in ${termsCounted(reach)}.`;
  const products = reach.groups.flatMap(({ terms }) => terms);
  const some = products.slice(0, 9).map(({ left, right }) => (right === null ? formatFactor(left)
    : `${formatFactor(left)}·${formatFactor(right)}`));
  const lead = reach.lead ? [`${formatNumber(reach.lead.value)} (${reach.lead.label})`] : [];
  const more = products.length > 9 ? [`… ${products.length - 9} more`] : [];
  const sum = [...lead, ...some, ...more].join(" + ");
  return `${reach.title} = ${sum ? `${sum} = ` : ""}${value}. ${termsCounted(reach)}.`;
}
