/** Quantiles, medians and the tables they are printed in. */

export const sleep = (milliseconds) => new Promise((wake) => setTimeout(wake, milliseconds));

export function quantile(values, q) {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function shown(value, digits) {
  if (typeof value !== 'number') return String(value ?? '');
  if (!Number.isFinite(value)) return '-';
  const places = digits ?? (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
  const text = value.toFixed(places);
  return places === 0 ? text.replace(/\B(?=(\d{3})+$)/g, ' ') : text;
}

/** `rows`: arrays of text and numbers under `heads`; printed as Markdown, so that it can be pasted into docs/performance.md. */
export function printTable(title, heads, rows) {
  const cells = [heads, ...rows.map((row) => row.map((cell) => shown(cell)))];
  const widths = heads.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? '').length)));
  const line = (row) => `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = `|${widths.map((w, i) => (i === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`;
  process.stdout.write(`\n${title}\n\n${line(cells[0])}\n${rule}\n${cells.slice(1).map(line).join('\n')}\n`);
}

export const note = (text) => process.stdout.write(`${text}\n`);

/** Progress goes to stderr, so that stdout holds the tables alone. */
export const progress = (text) => process.stderr.write(`${text}\n`);
