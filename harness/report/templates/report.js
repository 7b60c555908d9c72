"use strict";
// The report's own script. Values of logs are set as text only; nothing here builds markup from a string.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Make an element; children that are no elements become text. */
function el(name, properties, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key.includes("-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Read a packed text of the page: base64 of gzip. */
async function unpacked(id) {
  const packed = atob($(`#${id}`).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let n = 0; n < packed.length; n += 1) bytes[n] = packed.charCodeAt(n);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const loaded = unpacked("data").then(JSON.parse);

// ---- theme -----------------------------------------------------------------------------------------------------------

const root = document.documentElement;
const themeButton = $("#theme");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function kept(name) {
  try { return localStorage.getItem(name); } catch { return null; } // storage may be forbidden for files
}

function setTheme(theme) {
  root.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "Light" : "Dark";
  themeButton.setAttribute("aria-pressed", String(theme === "dark"));
  drawCharts();
}

themeButton.addEventListener("click", () => {
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("s3logjam-theme", theme); } catch { /* then it is not remembered */ }
  setTheme(theme);
});
prefersDark.addEventListener("change", () => {
  if (!kept("s3logjam-theme")) setTheme(prefersDark.matches ? "dark" : "light");
});

// ---- matrix: filters -------------------------------------------------------------------------------------------------

const grid = $("#grid");
const rows = $$("tr.row", grid).map((row) => ({
  row,
  text: "",
  head: $(".op", row),
  operation: $(".op .name", row).textContent,
  cells: $$(".cell", row),
}));
const unfolded = new Set();
const columns = $$("thead th.channel", grid);

function checked(name) {
  return new Set($$(`#filters input[name=${name}]:checked`).map((input) => input.value));
}

function applyFilters() {
  const text = $("#text").value.trim().toLowerCase();
  const [level, variant] = [$("#level").value, $("#variant").value];
  const [verdicts, channels] = [checked("verdict"), checked("channel")];
  const anyVerdict = verdicts.size === $$("#filters input[name=verdict]").length;
  columns.forEach((column, n) => { column.hidden = !channels.has(String(n)); });
  let shown = 0;
  for (const each of rows) {
    const data = each.row.dataset;
    each.text ||= each.row.textContent.toLowerCase();
    // Who searches or asks for a verdict wants to see every variant that fits.
    const folded = variant === "" && !("first" in data) && !unfolded.has(each.operation) && !text && anyVerdict;
    let fits = !folded && (!level || data.level === level) && (variant === "" || variant === "*" || data.variant === variant)
      && each.text.includes(text);
    let hit = false;
    each.cells.forEach((cell, n) => {
      cell.hidden = columns[n].hidden;
      const right = verdicts.has(cell.dataset.verdict);
      cell.classList.toggle("dim", !right && "n" in cell.dataset);
      hit ||= right && !cell.hidden;
    });
    fits &&= hit;
    each.row.hidden = !fits;
    shown += fits;
  }
  for (const body of grid.tBodies) body.hidden = !$$("tr.row", body).some((row) => !row.hidden);
  grid.dataset.shade = $("#shade").value;
  $("#count").textContent = `${shown} of ${rows.length} rows shown.`;
  if (!current || !visibleCell(current)) makeCurrent($$("tr.row:not([hidden]) .cell[data-n]:not([hidden])", grid)[0]);
}

const filters = $("#filters");
filters.addEventListener("input", applyFilters);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => { unfolded.clear(); setTimeout(() => { showFolds(); applyFilters(); }); });

function showFolds() {
  for (const { head, operation } of rows) {
    if (head.hasAttribute("aria-expanded")) head.setAttribute("aria-expanded", String(unfolded.has(operation)));
  }
}

function fold(head) {
  if (!head.hasAttribute("aria-expanded")) return;
  const operation = $(".name", head).textContent;
  if (!unfolded.delete(operation)) unfolded.add(operation);
  showFolds();
  applyFilters();
}

// ---- matrix: keyboard (one tab stop, arrows within) --------------------------------------------------------------------

let current = null;

function visibleCell(cell) {
  return !cell.hidden && !cell.parentElement.hidden;
}

function makeCurrent(cell, focus = false) {
  current?.setAttribute("tabindex", "-1");
  current = cell ?? null;
  current?.setAttribute("tabindex", "0");
  if (focus && current) {
    current.focus({ preventScroll: true });
    current.scrollIntoView({ block: "nearest", inline: "nearest" });
    uncover(current);
  }
}

/** The sticky head and first column lie over what is scrolled to the edge. */
function uncover(cell) {
  const box = $(".grid-box");
  const [at, frame] = [cell.getBoundingClientRect(), box.getBoundingClientRect()];
  const above = frame.top + grid.tHead.offsetHeight - at.top;
  if (above > 0) box.scrollTop -= above;
  const beside = frame.left + columns[0].parentElement.firstElementChild.offsetWidth - at.left;
  if (beside > 0 && !cell.classList.contains("op")) box.scrollLeft -= beside;
}

function stops(row) {
  return $$(".op, .cell[data-n]", row).filter((cell) => !cell.hidden);
}

function moved(key, cell, control) {
  const row = cell.parentElement;
  const [line, lines] = [stops(row), $$("tr.row:not([hidden])", grid)];
  const [x, y] = [line.indexOf(cell), lines.indexOf(row)];
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
  if (key in steps) {
    const other = stops(lines[Math.min(lines.length - 1, Math.max(0, y + steps[key]))]);
    return other[Math.min(x, other.length - 1)];
  }
  if (key === "ArrowRight") return line[x + 1];
  if (key === "ArrowLeft") return line[x - 1];
  if (key === "Home") return control ? stops(lines[0])[0] : line[0];
  if (key === "End") return control ? stops(lines[lines.length - 1]).at(-1) : line.at(-1);
  return undefined;
}

grid.addEventListener("keydown", (event) => {
  const cell = event.target.closest(".cell, .op");
  if (!cell || event.altKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    activate(cell);
  } else if (["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown"].includes(event.key)) {
    event.preventDefault();
    makeCurrent(moved(event.key, cell, event.ctrlKey) ?? cell, true);
  }
});
grid.addEventListener("click", (event) => {
  const cell = event.target.closest("tr.row .cell, tr.row .op");
  if (cell) activate(cell);
});

function activate(cell) {
  makeCurrent(cell, true);
  if (cell.classList.contains("op")) fold(cell);
  else if ("n" in cell.dataset) openCell(Number(cell.dataset.n));
}

// ---- a cell's details ------------------------------------------------------------------------------------------------

const dialog = $("#cell");
const units = [["d", 129600, 86400], ["h", 5400, 3600], ["m", 90, 60]];

function span(seconds) {
  const unit = units.find(([, least]) => Math.abs(seconds) >= least);
  return unit ? `${(seconds / unit[2]).toFixed(1)} ${unit[0]}` : `${seconds.toFixed(1)} s`;
}

function show(value) {
  if (value === null || value === undefined) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function pairs(entries) {
  return el("dl", { className: "pairs" }, Object.entries(entries).map(([name, value]) => [el("dt", null, name), el("dd", null, show(value))]));
}

function table(names, lines) {
  return el("div", { className: "scrolled", tabIndex: 0 }, el("table", null,
    el("thead", null, el("tr", null, names.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", null, lines.map((line) => el("tr", null, line.map((value) => el("td", null, value instanceof Node ? value : show(value)))))),
  ));
}

function part(title, ...children) {
  const filled = children.flat().filter(Boolean);
  return filled.length ? el("section", null, el("h3", null, title), ...filled) : null;
}

const meanings = {
  equal: "equal to the call", derived: "follows from the call", name: "the name", format: "constant here", volatile: "differs each time",
};

function fieldLine([name, kind, present, right, values], examined) {
  const expected = right === null ? "" : right === examined ? "as expected" : `${right} of ${examined} as expected`;
  return [el("code", null, name), `${kind}: ${meanings[kind] ?? ""}`, `${present} of ${examined}`, values.map(show).join(" | ") || expected];
}

function recordPart(record) {
  return el("details", { open: true },
    el("summary", null, el("code", null, record.name), ` of call ${record.call}, joined by ${record["joined by"]}, after ${span(record.delay)}`),
    pairs({ arrived: record.arrived, file: record.file, offset: record.offset, ...(record.copies > 1 ? { deliveries: record.copies } : {}) }),
    el("pre", { className: "raw" }, record.raw),
    Object.keys(record.fields).length ? el("details", null, el("summary", null, "its fields"), pairs(record.fields)) : null,
  );
}

function callPart(call) {
  const { parameters, ...told } = call;
  return el("details", { open: true },
    el("summary", null, el("code", null, `${call.method ?? ""} ${call.path ?? ""}`), ` answered ${call.status ?? "not"}`),
    pairs(told),
    Object.keys(parameters).length ? [el("h4", null, "Parameters"), pairs(parameters)] : "",
  );
}

function claimLine(each) {
  return [
    each.table, el("span", null, each.text, each.note ? ` (${each.note})` : ""),
    el("span", { className: `mark ${each.verdict.split(" ").at(-1)}` }, each.verdict), [each.seen, each.why].filter(Boolean).join("; "),
    `${each.confidence}${each.sources.length ? `: ${each.sources.join("; ")}` : ""}`,
  ];
}

function numbersPart(cell) {
  return part("Numbers",
    pairs({ ...cell.counts, ...Object.fromEntries(Object.entries(cell.statuses).map(([status, n]) => [`answered ${status}`, n])),
      ...Object.fromEntries(Object.entries(cell.joins).map(([way, n]) => [`joined by ${way}`, n])) }),
  );
}

function delayPart(delay) {
  if (!delay) return null;
  const told = Object.entries(delay).map(([name, value]) => [name, name === "n" ? value : span(value)]);
  return part("Delay", pairs(Object.fromEntries(told)), el("p", { className: "note" }, "From the call's answer to the first record's arrival, over the logged calls; the table of delays counts the others too."));
}

function payloadPart(payload) {
  if (!payload) return null;
  const lost = payload.lost.length ? `; not: ${payload.lost.join(", ")}` : "";
  return part("Payload", el("p", null, `${payload.recovered} of ${payload.sent} requested values can be read back from the records${lost}.`));
}

function siblings(data, cell, n) {
  const others = data.cells.map((each, m) => [each, m]).filter(([each]) => each.operation === cell.operation && each.variant === cell.variant);
  return el("div", { className: "tabs" }, others.map(([each, m]) => {
    const code = each.verdict.replaceAll(" ", "-");
    const sign = $(`#filters .chip.${code}`).textContent;
    const button = el("button", { type: "button", className: code }, `${sign} ${each.channel}`);
    if (m === n) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => openCell(m));
    return button;
  }));
}

async function openCell(n) {
  const data = await loaded;
  const cell = data.cells[n];
  if (!cell) return;
  const examined = Math.max(1, ...cell.fields.map((field) => field[2]));
  const close = el("button", { type: "button", className: "close" }, "Close");
  close.addEventListener("click", () => dialog.close());
  $("#cell-body").replaceChildren(...[
    el("div", { className: "cell-head" },
      el("h2", { id: "cell-title" }, `${cell.operation} [${cell.variant}] in ${cell.channel}: ${cell.verdict}`), close, siblings(data, cell, n)),
    el("p", null, cell.form ? el("code", null, cell.form) : null, cell.reason ? ` ${cell.reason}` : null),
    cell.twins.length ? el("p", null, `Same wire form as ${cell.twins.join(", ")}: no log can tell them apart.`) : null,
    part("Names", Object.keys(cell.names).length ? table(["name", "records"], Object.entries(cell.names).map(([name, count]) => [el("code", null, name), count])) : el("p", null, "No record, so no name.")),
    part("Drift from the baseline", cell.drift.map((each) => el("p", null, `${each.severity} ${each.kind}: ${each.title}`, el("small", null, ` ${each.evidence.join(" · ")}`)))),
    cell.wrong.length ? part("Values that do not follow from the call", table(["field", "the call says", "seen", "call"], cell.wrong)) : null,
    delayPart(cell.delay),
    numbersPart(cell),
    part("Records", cell.records.map(recordPart), cell.cut ? el("p", { className: "note cut" }, cell.cut) : null),
    part("Call", cell.calls.map(callPart)),
    payloadPart(cell.payload),
    cell.fields.length ? part("Fields", table(["field", "expected", "has a value", "seen"], cell.fields.map((field) => fieldLine(field, examined)))) : null,
    part("Documented", cell.claims.length ? table(["table", "statement", "verdict", "observed, and why", "confidence and source"], cell.claims.map(claimLine)) : el("p", null, "No documented statement speaks of this cell.")),
  ].filter(Boolean));
  history.replaceState(null, "", `#cell=${[cell.operation, cell.variant, cell.channel].map(encodeURIComponent).join("/")}`);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

dialog.addEventListener("close", () => {
  history.replaceState(null, "", location.pathname + location.search);
  current?.focus();
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
$("#checks").addEventListener("click", (event) => {
  const link = event.target.closest("a[data-n]");
  if (!link) return;
  event.preventDefault();
  openCell(Number(link.dataset.n));
});

async function openFromAddress() {
  if (!location.hash.startsWith("#cell=")) return;
  let wanted;
  try { wanted = location.hash.slice(6).split("/").map(decodeURIComponent).join("\0"); } catch { return; }
  const { cells } = await loaded;
  const n = cells.findIndex((cell) => [cell.operation, cell.variant, cell.channel].join("\0") === wanted);
  if (n >= 0) openCell(n);
}

// ---- tables with a filter of their own -----------------------------------------------------------------------------------

for (const form of $$("form[data-filters]")) {
  const lines = $$("tbody tr", $(`#${form.dataset.filters}`));
  const apply = () => {
    const text = $("input[type=search]", form).value.trim().toLowerCase();
    const verdicts = new Set($$("input:checked", form).map((input) => input.value));
    let shown = 0;
    for (const line of lines) {
      line.hidden = !verdicts.has(line.dataset.verdict) || !line.textContent.toLowerCase().includes(text);
      shown += !line.hidden;
    }
    $("[role=status]", form).textContent = `${shown} of ${lines.length} statements shown.`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

// ---- charts (plotly.js) --------------------------------------------------------------------------------------------------

// Okabe and Ito's palette without its yellow (lighter on dark), and a dash of its own for each channel: no curve is told
// by colour alone.
const palettes = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f"],
  dark: ["#4aa3df", "#ff8c42", "#2ecc9b", "#e39ac6", "#9ad4f5", "#ffc04d", "#b0b0b0"],
};
const dashes = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "4px 2px 1px 2px"];
const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
let charts = null;
let printing = false;

/** Plotly takes a few HTML tags in its labels; a name is no markup. */
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function style(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

function layout(more) {
  const line = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--soft") };
  const made = {
    paper_bgcolor: style("--page"), plot_bgcolor: style("--page"), font: { color: style("--text"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 60, r: 20, t: 20, b: 50 }, hovermode: "closest", legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, ...more,
  };
  for (const name of Object.keys(made)) if (/^[xy]axis\d*$/.test(name)) made[name] = { ...line, ...made[name] };
  return printing ? { ...made, width: 1000, autosize: false } : { ...made, autosize: true };
}

function colourOf(place) {
  const palette = palettes[root.dataset.theme];
  return palette[place % palette.length];
}

function faded(colour) {
  return `${colour}2e`;
}

function curveTraces({ channels, curves }) {
  const [kind, axis] = [$("#kind").value, $("#axis").value];
  const x = (seconds) => (axis === "log" ? Math.max(seconds, 0.1) : seconds);
  const y = (share) => 100 * (kind === "missing" ? 1 - share : share);
  const several = new Set(curves.map((each) => each.region)).size > 1;
  const chosen = curves.filter((each) => each.class === $("#class").value);
  return chosen.flatMap((each, n) => {
    const place = channels.indexOf(each.channel);
    const colour = colourOf(place);
    const dash = dashes[(several ? n : place) % dashes.length];
    const name = plain(`${each.channel}${several ? ` ${each.region}` : ""} (n = ${each.calls}, ${each.missing} without a record)`);
    const common = { legendgroup: String(n), type: "scatter" };
    const xs = each.points.map((point) => x(point[0]));
    const limit = { ...common, x: xs, mode: "lines", line: { shape: "hv", width: 0 }, hoverinfo: "skip", showlegend: false };
    const [low, high] = kind === "missing" ? [3, 2] : [2, 3];
    const hover = each.points.map((p) => `${span(p[0])}: ${y(p[1]).toFixed(1)} % (${y(p[low]).toFixed(1)} to ${y(p[high]).toFixed(1)})`);
    return [
      { ...limit, y: each.points.map((p) => y(p[low])) },
      { ...limit, y: each.points.map((p) => y(p[high])), fill: "tonexty", fillcolor: faded(colour) },
      { ...common, x: xs, y: each.points.map((p) => y(p[1])), mode: each.points.length > 1 ? "lines" : "lines+markers", name,
        line: { shape: "hv", color: colour, dash, width: 2 }, text: hover, hovertemplate: "%{text}<extra></extra>" },
      { ...common, x: each.censored.map((c) => x(c[0])), y: each.censored.map((c) => y(c[1])), mode: "markers", showlegend: false,
        marker: { symbol: "line-ns-open", size: 11, color: colour, line: { width: 2 } }, text: each.censored.map((c) => span(c[0])),
        hovertemplate: "not seen to end within %{text}<extra></extra>" },
    ];
  });
}

const ticks = [0.1, 1, 10, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200];

function timelineFigure({ channels, timeline }) {
  const names = ["calls sent", ...channels];
  const height = 1 / names.length;
  const made = { height: 90 + 70 * names.length, showlegend: false, xaxis: { type: "date", anchor: `y${names.length}` }, bargap: 0.05 };
  const traces = names.map((name, n) => {
    const each = n ? timeline.channels[name] : null;
    const counts = n ? each?.records ?? [] : timeline.calls;
    const top = 1 - n * height;
    made[`yaxis${n ? n + 1 : ""}`] = { domain: [top - height * 0.7, top], nticks: 3, rangemode: "tozero" };
    return {
      type: "bar", x: timeline.starts, y: counts, yaxis: `y${n ? n + 1 : ""}`, name: plain(name),
      marker: { color: n ? colourOf(n - 1) : style("--soft") },
      text: each ? each.files.map((files) => ` in ${files} files`) : [], textposition: "none",
      hovertemplate: `%{x|%Y-%m-%d %H:%M:%S} UTC: %{y}${n ? " records%{text}" : " calls"}<extra></extra>`,
    };
  });
  made.annotations = names.map((name, n) => ({
    text: `${plain(name)}${n ? ": records arrived" : ""}`, xref: "paper", yref: "paper", x: 0, y: 1 - n * height,
    xanchor: "left", yanchor: "bottom", showarrow: false,
  }));
  return [traces, made];
}

function drawCharts() {
  if (!charts) return;
  const kind = $("#kind").value === "missing" ? "share still missing, %" : "share arrived, %";
  const log = $("#axis").value === "log";
  const told = ticks.map((tick) => [tick, span(tick).replace(".0 ", " ")]);
  Plotly.react("curves", curveTraces(charts), layout({
    height: 420, yaxis: { title: { text: kind }, range: [-2, 102] },
    xaxis: { type: log ? "log" : "linear", title: { text: "time since the call was answered" }, rangemode: log ? "normal" : "tozero",
      ...(log ? { tickvals: told.map((tick) => tick[0]), ticktext: told.map((tick) => tick[1]) } : { ticksuffix: " s" }) },
  }), config);
  const [traces, more] = timelineFigure(charts);
  Plotly.react("timeline", traces, layout({ ...more, margin: { l: 60, r: 20, t: 30, b: 55 } }), config);
}

// plotly.js takes longer to start than all the rest of the page, so it does when the section comes near.
const chartsReady = Promise.all([loaded, unpacked("charts")]).then(([data, source]) => {
  const start = () => {
    if (charts) return;
    document.head.append(el("script", { textContent: source }));
    const classes = new Set(data.curves.map((each) => each.class));
    $("#class").append(...[...classes].map((name) => el("option", { value: name }, name)));
    charts = data;
    drawCharts();
    document.body.dataset.charts = "drawn";
    performance.mark("charts");
  };
  // A print job waits for no promise, so what it needs is at hand from here on.
  let theme;
  addEventListener("beforeprint", () => {
    printing = true;
    theme = root.dataset.theme;
    start();
    setTheme("light");
  });
  addEventListener("afterprint", () => { printing = false; setTheme(theme); });
  return start;
});

const near = new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  near.disconnect();
  chartsReady.then((start) => start());
}, { rootMargin: "400px" });
near.observe($("#delay"));
$("#chart-form").addEventListener("input", drawCharts);

// ---- start ---------------------------------------------------------------------------------------------------------------

setTheme(kept("s3logjam-theme") ?? (prefersDark.matches ? "dark" : "light"));
applyFilters();
openFromAddress();
addEventListener("hashchange", openFromAddress);
document.body.dataset.matrix = "ready";
performance.mark("matrix");
