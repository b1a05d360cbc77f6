// Holds the page's arithmetic and geometry to what npconv wrote.

/** Return { checked, refused, values, faults }: page is { compare, problems, ... } of the scripts. */
export function compareAll(page, cases) {
  const report = { checked: 0, refused: 0, values: 0, faults: [] };
  cases.forEach((given, at) => {
    const complain = (text) => {
      report.faults.push(`case ${at}: ${text}: ${JSON.stringify(given.problem)}`);
    };
    const said = page.problems(given.problem);
    if (given.refused) {
      report.refused += 1;
      if (!said.length) complain(`npconv refuses it: ${given.refused}`);
      else if (!compareSentences(said, given)) complain(`"${said[0].message}", "${given.refused}"`);
      return;
    }
    if (said.length) {
      complain(`the page refuses it: ${said[0].message}`);
      return;
    }
    report.checked += 1;
    const { equal, count, worst } = page.compare(given);
    report.values += count;
    if (!equal) complain(`values differ by ${worst}`);
    report.values += compareCells(page, given, complain);
  });
  return report;
}

/** Whether one of the page's sentences is npconv's; of a transposed size that is none, an axis's. */
function compareSentences(said, { refused }) {
  return refused.startsWith("padding (") || said.some(({ message }) => message === refused);
}

/** Hold each cell's written-out sum, and the formula, to npconv's arrays; return their number. */
function compareCells(page, given, complain) {
  const { problem } = given;
  const read = ({ shape, data }) => page.tensor(shape, data);
  const [x, weight, gradOut] = [read(given.x), read(given.weight), read(given.gradOut)];
  const near = (a, b) => Math.abs(a - b) <= 1e-6 * (1 + Math.abs(b));
  let count = 0;
  const hold = (name, own) => {
    const want = read(given[name]);
    const [, b, c, d] = want.shape;
    want.data.forEach((value, flat) => {
      const index = [Math.floor(flat / (b * c * d)), Math.floor(flat / (c * d)) % b,
        Math.floor(flat / d) % c, flat % d];
      const sum = own(...index);
      count += 1;
      if (!near(sum, value)) complain(`${name}[${index}] is ${value}, its terms give ${sum}`);
    });
  };
  hold("out", (n, o, i, j) =>
    page.termsOf(problem, x, weight, n, o, i, j).sum + given.bias.data[o]);
  hold("gradX", (n, c, h, w) => page.gradXTerms(problem, gradOut, weight, n, c, h, w).sum);
  hold("gradWeight", (o, c, kh, kw) =>
    page.gradWeightTerms(problem, gradOut, x, o, c, kh, kw).sum);
  [0, 1].forEach((axis) => {
    const { text, out } = page.sizeFormula(problem, axis);
    const [left, right] = text.split(" = ");
    const value = Function("floor", `return ${left}`)(Math.floor);
    if (out !== given.out.shape[2 + axis] || value !== out || Number(right) !== out) {
      complain(`the size formula says ${text}`);
    }
  });
  return count;
}
